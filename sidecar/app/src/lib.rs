//! The ways in: command line and, later, the server. Parses, calls the engine, writes the answer.
