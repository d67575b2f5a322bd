//! A running `vesalius serve`, and a client that speaks to it over plain sockets.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::program;

/// Longest wait for anything: a stuck test must end.
const PATIENCE: Duration = Duration::from_secs(300);

/// A server that ends with the test.
pub struct Sidecar {
    child: Child,
    pub port: u16,
    pub token: String,
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// Status line and headers, in lower case.
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    /// A header's value, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&self.body)))
    }
}

impl Sidecar {
    /// Starts a server on any free port, and waits until it says where it is.
    pub fn start(home: &Path, arguments: &[&str]) -> Sidecar {
        let mut command = program::command(home);
        command.args(["serve", "--port", "0"]).args(arguments);
        Sidecar::run(command)
    }

    /// Runs this command, which serves.
    pub fn run(mut command: Command) -> Sidecar {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("it said `{line}`"));
        let endpoint = std::fs::read(said["endpoint"].as_str().unwrap()).unwrap();
        let endpoint: Value = serde_json::from_slice(&endpoint).unwrap();
        assert_eq!(endpoint["port"], said["port"]);
        let token = endpoint["token"].as_str().unwrap().to_owned();
        Sidecar { child, port: endpoint["port"].as_u64().unwrap() as u16, token }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// The head of a request with the token.
    fn head(&self, line: &str, headers: &str) -> String {
        format!(
            "{line} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAuthorization: Bearer {}\r\nConnection: close\r\n{headers}\r\n",
            self.port, self.token
        )
    }

    fn send(&self, head: &str, body: &[u8]) -> Reply {
        let mut stream = self.connect();
        stream.write_all(head.as_bytes()).unwrap();
        // A server that refuses need not listen to the end.
        let _ = stream.write_all(body);
        reply(stream)
    }

    /// What these very bytes are answered with.
    pub fn raw(&self, request: &str) -> Reply {
        self.send(request, &[])
    }

    pub fn get(&self, path: &str) -> Reply {
        self.raw(&self.head(&format!("GET {path}"), ""))
    }

    pub fn delete(&self, path: &str) -> Reply {
        self.raw(&self.head(&format!("DELETE {path}"), ""))
    }

    pub fn post(&self, path: &str, body: &Value) -> Reply {
        let body = body.to_string();
        let headers = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        self.send(&self.head(&format!("POST {path}"), &headers), body.as_bytes())
    }

    /// With one more header line.
    pub fn post_with(&self, path: &str, header: &str, body: &Value) -> Reply {
        let body = body.to_string();
        let headers = format!("Content-Type: application/json\r\n{header}Content-Length: {}\r\n", body.len());
        self.send(&self.head(&format!("POST {path}"), &headers), body.as_bytes())
    }

    pub fn put(&self, path: &str, body: &[u8]) -> Reply {
        self.send(&self.put_head(path, body.len()), body)
    }

    fn put_head(&self, path: &str, length: usize) -> String {
        let headers = format!("Content-Type: application/octet-stream\r\nContent-Length: {length}\r\n");
        self.head(&format!("PUT {path}"), &headers)
    }

    /// Announces `length` bytes, sends `body`, and goes away.
    pub fn cut_off(&self, path: &str, body: &[u8], length: usize) {
        let mut stream = self.connect();
        stream.write_all(self.put_head(path, length).as_bytes()).unwrap();
        stream.write_all(body).unwrap();
    }

    /// Sends a request, and does not wait for its answer.
    pub fn post_and_leave(&self, path: &str, body: &Value) {
        let body = body.to_string();
        let headers = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        let head = self.head(&format!("POST {path}"), &headers);
        self.connect().write_all((head + &body).as_bytes()).unwrap();
    }

    /// A connection that has sent half a head.
    pub fn half_open(&self) -> TcpStream {
        let mut stream = self.connect();
        stream.write_all(b"GET /v1/live HTTP/1.1\r\nHost:").unwrap();
        stream
    }

    /// Gives the lines of a stream to `more`, until that has enough or they end.
    pub fn lines(&self, path: &str, mut more: impl FnMut(&str) -> bool) {
        let mut stream = self.connect();
        stream.write_all(self.head(&format!("GET {path}"), "").as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        while reader.read_line(&mut line).unwrap() > 0 {
            // Sizes of chunks and headers stand on lines of their own.
            if line.starts_with('{') && !more(line.trim_end()) {
                return;
            }
            line.clear();
        }
    }

    /// Asks again until there is an answer.
    pub fn until<T>(&self, ask: impl Fn() -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(answer) = ask() {
                return answer;
            }
            assert!(began.elapsed() < PATIENCE, "no answer came");
        }
    }

    fn signal(signal: &str, process: &str) {
        assert!(Command::new("kill").args([signal, process]).status().unwrap().success());
    }

    /// The numbers of the server's processes.
    pub fn processes(&self) -> Vec<String> {
        let supervisor = self.child.id().to_string();
        let children = Command::new("pgrep").args(["-P", &supervisor]).output().unwrap();
        let workers = String::from_utf8(children.stdout).unwrap();
        workers.lines().map(str::to_owned).chain([supervisor.clone()]).collect()
    }

    /// Ends the worker as a full memory does.
    pub fn kill_worker(&self) {
        let supervisor = self.child.id().to_string();
        let worker = self.until(|| {
            let children = Command::new("pgrep").args(["-P", &supervisor]).output().unwrap();
            let workers = String::from_utf8(children.stdout).unwrap();
            workers.lines().next().map(str::to_owned)
        });
        Sidecar::signal("-KILL", &worker);
    }

    /// Ends all workers that run now, however many that are.
    pub fn kill_workers(&self) {
        let supervisor = self.child.id().to_string();
        for worker in self.processes().iter().filter(|process| **process != supervisor) {
            // It may have ended by itself meanwhile.
            let _ = Command::new("kill").args(["-KILL", worker]).stderr(Stdio::null()).status().unwrap();
        }
    }

    /// Ends the server as a power failure does.
    pub fn kill(mut self) {
        self.kill_now();
    }

    /// The same, where another server takes its place.
    pub fn kill_now(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks the server to end.
    pub fn stop(mut self) -> ExitStatus {
        Sidecar::signal("-TERM", &self.child.id().to_string());
        self.child.wait().unwrap()
    }

    /// Waits until the server ends by itself.
    pub fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads an answer; the connection closes behind it or its length is told.
fn reply(mut stream: TcpStream) -> Reply {
    let mut bytes = Vec::new();
    let mut piece = vec![0; 64 << 10];
    loop {
        if let Some(reply) = whole(&bytes) {
            return reply;
        }
        let length = stream.read(&mut piece).unwrap();
        assert!(length > 0, "the connection closed after {} bytes", bytes.len());
        bytes.extend_from_slice(&piece[..length]);
    }
}

/// The answer in `bytes`, once all of it is there.
fn whole(bytes: &[u8]) -> Option<Reply> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    let length = length.unwrap_or(0);
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (bytes.len() >= end + length).then(|| Reply { status, body: bytes[end..end + length].to_vec(), head })
}
