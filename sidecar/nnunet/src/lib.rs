//! nnunet
