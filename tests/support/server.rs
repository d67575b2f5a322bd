//! A web server on loopback that can misbehave in every way that a download must survive.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request, as far as a download uses HTTP.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Path, or the whole address when asked as a proxy.
    pub path: String,
    /// First byte of `Range: bytes=N-`.
    pub start: Option<usize>,
    /// `If-Range`.
    pub if_range: Option<String>,
    /// `Authorization`.
    pub authorization: Option<String>,
    /// How many requests came before.
    pub before: usize,
}

/// What the server says.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// Close the connection after so many bytes of the body.
    pub cut: Option<usize>,
    /// After the body keep the connection open and say nothing more.
    pub hang: bool,
}

impl Answer {
    /// An answer without a body.
    pub fn empty(status: u16) -> Answer {
        Answer { status, ..Answer::default() }.with("Content-Length", "0")
    }

    /// `file` or the rest of it, as a good server gives it; the tag must be the one the client asks for.
    pub fn file(file: &[u8], tag: &str, request: &Request) -> Answer {
        let tag = format!("\"{tag}\"");
        let same = request.if_range.as_ref().is_none_or(|asked| *asked == tag);
        match request.start.filter(|start| same && *start < file.len()) {
            Some(start) => {
                let span = format!("bytes {start}-{}/{}", file.len() - 1, file.len());
                Answer { status: 206, body: file[start..].to_vec(), ..Answer::default() }
                    .with("Content-Range", span)
                    .with("Content-Length", (file.len() - start).to_string())
            }
            None => Answer { status: 200, body: file.to_vec(), ..Answer::default() }
                .with("Content-Length", file.len().to_string()),
        }
        .with("ETag", tag)
    }

    /// With one more header.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Answer {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.into()));
        self
    }

    /// Without a header.
    pub fn without(mut self, name: &str) -> Answer {
        self.headers.retain(|(known, _)| *known != name);
        self
    }

    /// Cut after so many bytes of the body.
    pub fn cut(mut self, after: usize) -> Answer {
        self.cut = Some(after);
        self
    }
}

/// A server that answers until the test ends.
pub struct Server {
    address: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Answers every request with what `handler` makes of it.
    pub fn start(handler: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&requests);
        let handler = Arc::new(handler);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (heard, handler) = (Arc::clone(&heard), Arc::clone(&handler));
                std::thread::spawn(move || serve(&stream, &heard, handler.as_ref()));
            }
        });
        Server { address, requests }
    }

    /// An address on this server.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

/// Reads one request and answers it.
fn serve(stream: &TcpStream, heard: &Mutex<Vec<Request>>, handler: &dyn Fn(&Request) -> Answer) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let Some(mut first) = lines.next() else { return };
    if first.starts_with("CONNECT ") {
        // As a proxy: the tunnel leads back here.
        lines.by_ref().take_while(|line| !line.is_empty()).for_each(drop);
        let mut tunnel = stream;
        let _ = tunnel.write_all(b"HTTP/1.1 200 Connected\r\n\r\n");
        first = lines.next().unwrap_or_default();
    }
    let mut request =
        Request { path: first.split(' ').nth(1).unwrap_or_default().to_owned(), ..Request::default() };
    for line in lines.take_while(|line| !line.is_empty()) {
        let Some((name, value)) = line.split_once(": ") else { continue };
        match name.to_ascii_lowercase().as_str() {
            "range" => {
                request.start =
                    value.strip_prefix("bytes=").and_then(|span| span.trim_end_matches('-').parse().ok());
            }
            "authorization" => request.authorization = Some(value.to_owned()),
            "if-range" => request.if_range = Some(value.to_owned()),
            _ => {}
        }
    }
    {
        let mut heard = heard.lock().unwrap();
        request.before = heard.len();
        heard.push(request.clone());
    }
    let answer = handler(&request);
    let mut out = stream;
    let mut head = format!("HTTP/1.1 {} Test\r\nConnection: close\r\n", answer.status);
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let body = &answer.body[..answer.cut.unwrap_or(answer.body.len()).min(answer.body.len())];
    // The client may have gone: that is its right.
    let _ = out
        .write_all(head.as_bytes())
        .and_then(|()| out.write_all(b"\r\n"))
        .and_then(|()| out.write_all(body));
    let _ = out.flush();
    if answer.hang {
        // Returns when the client closes its end.
        let _ = std::io::copy(&mut &*stream, &mut std::io::sink());
    }
}
