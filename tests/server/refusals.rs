//! Everything that a program or a page may try, and the code that it is refused with: over raw sockets, since no client
//! would send half of it. Bodies are announced and never sent: an answer shows that nobody waited for one.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use super::refused;
use crate::support::sidecar::Sidecar;

/// Requests, their headers apart by ` | `; status and code. `HOST` and `TOKEN` stand for the right headers, `PORT` for
/// the port. Without a code the HTTP library refuses, before anything of this program sees the request.
const CASES: &[(&str, u16, &str)] = &[
    // Who it is meant for: a name that an attacker's DNS points at this computer is not ours.
    ("GET /v1/info | TOKEN", 421, "host_refused"),
    ("GET /v1/info | TOKEN | Host:", 421, "host_refused"),
    ("GET /v1/info | TOKEN | Host: evil.example", 421, "host_refused"),
    ("GET /v1/info | TOKEN | Host: evil.example:PORT", 421, "host_refused"),
    ("GET /v1/info | TOKEN | Host: 127.0.0.1", 421, "host_refused"),
    ("GET /v1/info | TOKEN | Host: 127.0.0.1:1", 421, "host_refused"),
    ("GET /v1/info | TOKEN | Host: 127.0.0.1:0PORT", 421, "host_refused"),
    ("GET /v1/info | TOKEN | Host: 127.0.0.1.nip.io:PORT", 421, "host_refused"),
    ("GET /v1/info | TOKEN | Host: 0.0.0.0:PORT", 421, "host_refused"),
    ("GET /v1/info | TOKEN | Host: 127.0.0.2:PORT", 421, "host_refused"),
    ("GET /v1/info | TOKEN | Host: 127.1:PORT", 421, "host_refused"),
    ("GET /v1/info | TOKEN | Host: 2130706433:PORT", 421, "host_refused"),
    ("GET /v1/info | TOKEN | Host: [::1]:PORT", 421, "host_refused"),
    ("GET /v1/info | TOKEN | Host: LOCALHOST:PORT", 421, "host_refused"),
    ("GET /v1/info | TOKEN | Host: localhost.:PORT", 421, "host_refused"),
    ("GET /v1/info | TOKEN | Host: me@127.0.0.1:PORT", 421, "host_refused"),
    ("GET /v1/info | TOKEN | Host: 127.0.0.1:PORT, evil.example", 421, "host_refused"),
    ("GET /v1/live | Host: evil.example:PORT", 421, "host_refused"),
    ("POST /v1/session | Host: evil.example:PORT | JSON | Content-Length: 50", 421, "host_refused"),
    ("GET /v1/info | HOST | HOST | TOKEN", 400, "bad_request"),
    // Which page it comes from: none is paired here.
    ("GET /v1/info | HOST | TOKEN | Origin: https://evil.example", 403, "origin_refused"),
    ("GET /v1/info | HOST | TOKEN | Origin: null", 403, "origin_refused"),
    ("GET /v1/info | HOST | TOKEN | Origin: file://", 403, "origin_refused"),
    ("GET /v1/info | HOST | TOKEN | Origin:", 403, "origin_refused"),
    ("GET /v1/info | HOST | TOKEN | Origin: http://localhost:3000", 403, "origin_refused"),
    ("GET /v1/info | HOST | TOKEN | Origin: http://127.0.0.1:PORT", 403, "origin_refused"),
    ("GET /v1/info | HOST | TOKEN | Origin: chrome-extension://abcdef", 403, "origin_refused"),
    (
        "GET /v1/info | HOST | TOKEN | Origin: https://a.example | Origin: https://b.example",
        400,
        "bad_request",
    ),
    ("GET /v1/info | HOST | TOKEN | Sec-Fetch-Site: cross-site", 403, "origin_refused"),
    ("GET /v1/info | HOST | TOKEN | Sec-Fetch-Site: same-site", 403, "origin_refused"),
    ("GET /v1/live | HOST | Origin: https://evil.example", 403, "origin_refused"),
    ("GET /v1/live | HOST | Sec-Fetch-Site: cross-site", 403, "origin_refused"),
    ("POST /v1/jobs | HOST | Origin: https://evil.example | Content-Length: 50", 403, "origin_refused"),
    (
        "OPTIONS /v1/jobs | HOST | Origin: https://evil.example | Access-Control-Request-Method: POST",
        403,
        "origin_refused",
    ),
    (
        "POST /v1/pair/begin | HOST | JSON | Origin: https://evil.example | Content-Length: 50",
        403,
        "origin_refused",
    ),
    (
        "POST /v1/pair/confirm | HOST | JSON | Origin: https://evil.example | Content-Length: 50",
        403,
        "origin_refused",
    ),
    (
        "POST /v1/session | HOST | JSON | Origin: https://evil.example | Content-Length: 50",
        403,
        "origin_refused",
    ),
    // Who sends it.
    ("GET /v1/info | HOST", 401, "unauthorized"),
    ("GET /v1/info | HOST | Authorization: Bearer", 401, "unauthorized"),
    ("GET /v1/info | HOST | Authorization: Bearer 00", 401, "unauthorized"),
    ("GET /v1/info | HOST | Authorization: Basic dmVzYWxpdXM6", 401, "unauthorized"),
    ("GET /v1/info | HOST | Cookie: token=SECRET", 401, "unauthorized"),
    ("GET /v1/info?token=SECRET | HOST", 401, "unauthorized"),
    ("GET /v1/info | HOST | Authorization: SECRET", 401, "unauthorized"),
    ("GET /v1/info | HOST | Authorization: bearer SECRET", 401, "unauthorized"),
    ("GET /v1/info | HOST | Authorization: Bearer SECRETSECRET", 401, "unauthorized"),
    ("GET /v1/info | HOST | TOKEN | TOKEN", 400, "bad_request"),
    ("GET /v1/nothing | HOST", 401, "unauthorized"),
    ("POST /v1/live | HOST", 401, "unauthorized"),
    ("POST /v1/pair | HOST | JSON | Content-Length: 50", 401, "unauthorized"),
    ("POST /v1/jobs | HOST | JSON | Content-Length: 50", 401, "unauthorized"),
    ("POST /v1/jobs | HOST | JSON | Content-Length: 50 | Expect: 100-continue", 401, "unauthorized"),
    ("PUT /v1/volumes/ID/data?offset=0 | HOST | VOXELS | Content-Length: 99999999", 401, "unauthorized"),
    // How it is written.
    ("GET http://127.0.0.1:PORT/v1/info | HOST | TOKEN", 400, "bad_request"),
    ("GET http://evil.example/v1/info | HOST | TOKEN", 400, "bad_request"),
    ("CONNECT 127.0.0.1:PORT | HOST | TOKEN", 400, "bad_request"),
    ("GET /v1/info HTTP/1.0 | HOST | TOKEN", 400, "bad_request"),
    ("GET /v1/../v1/info | HOST | TOKEN", 400, "bad_request"),
    ("GET /v1/%69nfo | HOST | TOKEN", 400, "bad_request"),
    ("GET /v1/jobs/..%2f..%2fetc | HOST | TOKEN", 400, "bad_request"),
    ("GET /LONG | HOST | TOKEN", 400, "bad_request"),
    ("GET /v1/info | HOST | TOKEN | X-Long: LONGLONG", 431, "headers_too_large"),
    ("GET /v1/info | HOST | TOKEN | MANY", 431, ""),
    ("GET /v1/info HTTP/3 | HOST | TOKEN", 400, ""),
    ("GET  /v1/info | HOST | TOKEN", 400, ""),
    ("GET /v1/info | HOST | TOKEN | : none", 400, ""),
    ("GET /v1/info | HOST | TOKEN | Spaced : yes", 400, ""),
    ("PRI * HTTP/2.0", 400, ""),
    // What it carries, and how it says where that ends.
    ("POST /v1/jobs | HOST | TOKEN | Content-Length: 50", 415, "unsupported_media_type"),
    (
        "POST /v1/jobs | HOST | TOKEN | Content-Type: text/plain | Content-Length: 50",
        415,
        "unsupported_media_type",
    ),
    (
        "POST /v1/jobs | HOST | TOKEN | Content-Type: application/x-www-form-urlencoded | Content-Length: 50",
        415,
        "unsupported_media_type",
    ),
    (
        "POST /v1/jobs | HOST | TOKEN | Content-Type: multipart/form-data; boundary=x | Content-Length: 50",
        415,
        "unsupported_media_type",
    ),
    ("POST /v1/jobs | HOST | TOKEN | VOXELS | Content-Length: 50", 415, "unsupported_media_type"),
    ("POST /v1/jobs | HOST | TOKEN | JSON | JSON | Content-Length: 50", 400, "bad_request"),
    ("POST /v1/session | HOST | Content-Length: 50", 415, "unsupported_media_type"),
    (
        "POST /v1/session | HOST | Content-Type: text/plain | Content-Length: 50",
        415,
        "unsupported_media_type",
    ),
    ("POST /v1/session | HOST | JSON | Content-Length: 5000", 413, "too_large"),
    ("PUT /v1/volumes/ID/data | HOST | TOKEN | JSON | Content-Length: 50", 415, "unsupported_media_type"),
    (
        "POST /v1/jobs | HOST | TOKEN | JSON | Content-Encoding: gzip | Content-Length: 50",
        415,
        "unsupported_media_type",
    ),
    ("POST /v1/jobs | HOST | TOKEN | JSON", 411, "length_required"),
    ("POST /v1/jobs | HOST | TOKEN | JSON | Transfer-Encoding: chunked", 411, "length_required"),
    (
        "POST /v1/jobs | HOST | TOKEN | JSON | Transfer-Encoding: chunked | Content-Length: 50",
        411,
        "length_required",
    ),
    (
        "POST /v1/jobs | HOST | TOKEN | JSON | Content-Length: 50 | Transfer-Encoding: chunked",
        411,
        "length_required",
    ),
    ("PUT /v1/volumes/ID/data | HOST | TOKEN | VOXELS | Transfer-Encoding: chunked", 411, "length_required"),
    ("POST /v1/jobs | HOST | TOKEN | JSON | Transfer-Encoding: xchunked", 400, ""),
    ("POST /v1/jobs | HOST | TOKEN | JSON | Transfer-Encoding: chunked, identity", 400, ""),
    ("POST /v1/jobs | HOST | TOKEN | JSON | Content-Length: 50 | Content-Length: 51", 400, ""),
    ("POST /v1/jobs | HOST | TOKEN | JSON | Content-Length: -1", 400, ""),
    ("POST /v1/jobs | HOST | TOKEN | JSON | Content-Length: +50", 400, ""),
    ("POST /v1/jobs | HOST | TOKEN | JSON | Content-Length: 99999999999999999999", 400, ""),
    ("POST /v1/jobs | HOST | TOKEN | JSON | Content-Length: 99999999", 413, "too_large"),
    ("GET /v1/info | HOST | TOKEN | Content-Length: 50", 400, "bad_request"),
    // What it asks for.
    ("GET / | HOST | TOKEN", 404, "not_found"),
    ("GET /v1/nothing | HOST | TOKEN", 404, "not_found"),
    ("GET /v1//info | HOST | TOKEN", 404, "not_found"),
    ("GET /v1/jobs/ID | HOST | TOKEN", 404, "not_found"),
    ("GET /v1/jobs/IDID | HOST | TOKEN", 404, "not_found"),
    ("GET /v1/volumes/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA | HOST | TOKEN", 404, "not_found"),
    ("DELETE /v1/clients/ID | HOST | TOKEN", 404, "not_found"),
    ("DELETE /v1/info | HOST | TOKEN", 405, "method_not_allowed"),
    ("TRACE /v1/info | HOST | TOKEN", 405, "method_not_allowed"),
    ("PATCH /v1/jobs | HOST | TOKEN", 405, "method_not_allowed"),
    ("OPTIONS /v1/jobs | HOST | TOKEN", 405, "method_not_allowed"),
    ("GET /v1/jobs/ID/labels?format=exe | HOST | TOKEN", 400, "bad_request"),
    ("PUT /v1/volumes/ID/data?offset=-1 | HOST | TOKEN | VOXELS | Content-Length: 50", 400, "bad_request"),
];

#[test]
fn each_attempt_is_refused_before_its_body_is_read() {
    let home = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start(home.path(), &[]);
    let port = sidecar.port.to_string();
    let words = [
        ("HOST", "Host: 127.0.0.1:PORT".to_owned()),
        ("TOKEN", "Authorization: Bearer SECRET".to_owned()),
        ("JSON", "Content-Type: application/json".to_owned()),
        ("VOXELS", "Content-Type: application/octet-stream".to_owned()),
        ("MANY", (0..70).map(|number| format!("X-{number}: x")).collect::<Vec<_>>().join("\r\n")),
    ];
    for (case, status, code) in CASES {
        let mut lines: Vec<String> = case.split(" | ").map(str::to_owned).collect();
        if !lines[0].contains("HTTP/") {
            lines[0].push_str(" HTTP/1.1");
        }
        for line in &mut lines {
            if let Some((_, header)) = words.iter().find(|(word, _)| line == word) {
                line.clone_from(header);
            }
            *line = line.replace("LONGLONG", &"x".repeat(20_000)).replace("LONG", &"x".repeat(300));
            *line = line.replace("PORT", &port).replace("SECRET", &sidecar.token);
            *line = line.replace("IDID", &"0".repeat(64)).replace("/ID", &format!("/{}", "0".repeat(32)));
        }
        let began = Instant::now();
        let reply = sidecar.raw(&(lines.join("\r\n") + "\r\n\r\n"));
        // A server that waits for the body would say so after ten seconds.
        assert!(began.elapsed() < Duration::from_secs(60), "{case}: it waited");
        if code.is_empty() {
            assert_eq!((reply.status, reply.body.as_slice()), (*status, b"".as_slice()), "{case}");
        } else {
            assert_eq!(refused(&reply), (*status, (*code).to_owned()), "{case}");
            assert_eq!(reply.header("cache-control"), Some("no-store"), "{case}");
            assert_eq!(reply.header("cross-origin-resource-policy"), Some("same-origin"), "{case}");
        }
        assert_eq!(reply.header("access-control-allow-origin"), None, "{case}");
        assert_eq!(reply.header("server"), None, "{case}");
    }
}

#[test]
fn strangers_cannot_tell_one_thing_from_another() {
    let home = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start(home.path(), &[]);
    let ask = |line: &str, headers: &str| {
        let reply =
            sidecar.raw(&format!("{line} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n{headers}\r\n", sidecar.port));
        (reply.status, reply.body)
    };
    let job = format!("GET /v1/jobs/{}", "0".repeat(32));
    let lines = ["GET /v1/info", "GET /v1/nothing", "DELETE /v1/tasks", &job, "GET /v1/clients"];
    let without = ask(lines[0], "");
    let page = ask(lines[0], "Origin: https://evil.example\r\n");
    for line in lines {
        for headers in ["", "Authorization: Bearer 00\r\n", "Authorization: Basic eA==\r\n"] {
            assert_eq!(ask(line, headers), without, "{line} {headers}");
        }
        for origin in ["https://evil.example", "null", "http://localhost:1", "nonsense"] {
            assert_eq!(ask(line, &format!("Origin: {origin}\r\n")), page, "{line} {origin}");
        }
        assert_eq!(ask(line, "Sec-Fetch-Site: cross-site\r\n"), page, "{line}");
    }
}

#[test]
fn slow_clients_are_not_waited_for() {
    let home = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start(home.path(), &[]);
    let host = format!("Host: 127.0.0.1:{}\r\n", sidecar.port);
    let trusted = format!("{host}Authorization: Bearer {}\r\n", sidecar.token);
    let json = "Content-Type: application/json\r\nContent-Length: 900\r\n\r\n";
    let header = serde_json::json!({ "dims": [9, 9, 9], "dtype": "uint8", "space": "LPS",
        "ijk_to_world": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1] });
    let volume = sidecar.post("/v1/volumes", &header).json()["id"].as_str().unwrap().to_owned();
    let put = "Content-Type: application/octet-stream\r\nContent-Length: 729\r\n\r\n";
    // What is sent at once, whether a byte follows each second, and the answer; none: the connection is closed.
    let cases: [(String, bool, Option<u16>); 6] = [
        ("GET /v1/live HTTP/1.1\r\nHost:".to_owned(), false, None),
        ("GET /v1/live HTTP/1.1\r\nX-Slow: ".to_owned(), true, None),
        (format!("POST /v1/session HTTP/1.1\r\n{host}{json}"), false, Some(408)),
        (format!("POST /v1/jobs HTTP/1.1\r\n{trusted}{json}"), true, Some(408)),
        (format!("PUT /v1/volumes/{volume}/data HTTP/1.1\r\n{trusted}{put}"), false, Some(408)),
        (format!("PUT /v1/volumes/{}/data HTTP/1.1\r\n{trusted}{put}", "0".repeat(32)), false, Some(404)),
    ];
    std::thread::scope(|scope| {
        for (sent, drips, expected) in &cases {
            let mut stream = std::net::TcpStream::connect(("127.0.0.1", sidecar.port)).unwrap();
            scope.spawn(move || {
                let began = Instant::now();
                stream.write_all(sent.as_bytes()).unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
                let mut answer = Vec::new();
                while began.elapsed() < Duration::from_secs(61) {
                    let mut piece = [0; 4096];
                    match stream.read(&mut piece) {
                        // A connection that is cut while bytes are under way.
                        Ok(0) => break,
                        Ok(length) => answer.extend_from_slice(&piece[..length]),
                        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                            if *drips && stream.write_all(b"x").is_err() {
                                break;
                            }
                        }
                        Err(_) => break,
                    }
                    if !answer.is_empty() && expected.is_some() {
                        break;
                    }
                }
                // Ten seconds; a busy machine may take its time.
                assert!(began.elapsed() < Duration::from_secs(60), "{sent}: it waited");
                let text = String::from_utf8_lossy(&answer).into_owned();
                let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
                assert_eq!(status.filter(|_| expected.is_some()), *expected, "{sent}: {text}");
            });
        }
    });
    assert_eq!(sidecar.get("/v1/live").status, 200);
}
