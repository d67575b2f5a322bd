//! The accept loop: warp's filters behind time limits, permits and the gate, which its own server has not.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use warp::filters::BoxedFilter;
use warp::http::{HeaderValue, Request, header};
use warp::hyper::body::{Body, Incoming};
use warp::hyper::server::conn::http1;
use warp::hyper::service::{Service, service_fn};
use warp::reply::Response;

use super::error::Refusal;
use super::gate::{Caller, Passage, Policy};
use super::origin::{preflight, show_to};

/// Connections at a time. Well under the 1024 files that a process may usually have open.
const MOST_CONNECTIONS: usize = 256;
/// Time to send a head, and to stay idle between two requests.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// Time for answers under way when the server ends.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);
/// Headers of every answer: nothing is kept, nothing is guessed, no page may embed it.
const ALWAYS: [(&str, &str); 6] = [
    ("cache-control", "no-store"),
    ("vary", "origin"),
    ("x-content-type-options", "nosniff"),
    ("cross-origin-resource-policy", "same-origin"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("referrer-policy", "no-referrer"),
];

/// Connections that have shown no token yet, oldest first: these make room when there are too many.
#[derive(Clone, Default)]
struct Strangers(Arc<Mutex<BTreeMap<u64, Option<AbortHandle>>>>);

impl Strangers {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Option<AbortHandle>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the oldest.
    fn evict(&self) {
        if let Some((_, Some(handle))) = self.lock().pop_first() {
            handle.abort();
        }
    }
}

/// Serves `routes` until `closing` ends, then gives answers under way five seconds.
///
/// `seen` is called for each request that came with the token.
pub(super) async fn serve(
    listener: TcpListener,
    policy: Arc<Policy>,
    routes: BoxedFilter<(Response,)>,
    seen: Arc<dyn Fn() + Send + Sync>,
    closing: impl Future<Output = ()>,
) {
    let permits = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let strangers = Strangers::default();
    let graceful = GracefulShutdown::new();
    let mut number = 0;
    tokio::pin!(closing);
    loop {
        let stream = tokio::select! {
            () = &mut closing => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                // Too many open files: others must end first.
                Err(_) => { tokio::time::sleep(Duration::from_millis(50)).await; continue }
            },
        };
        if permits.available_permits() == 0 {
            strangers.evict();
        }
        let permit =
            tokio::time::timeout(Duration::from_millis(100), Arc::clone(&permits).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else { continue };
        number += 1;
        strangers.lock().insert(number, None);
        let known = strangers.clone();
        let handler =
            Handler { policy: Arc::clone(&policy), routes: routes.clone(), seen: Arc::clone(&seen) };
        let connection =
            graceful.watch(connection(stream, handler, move || drop(known.lock().remove(&number))));
        let ended = strangers.clone();
        let task = tokio::spawn(async move {
            // A connection that breaks is its client's affair.
            let _ = connection.await;
            ended.lock().remove(&number);
            drop(permit);
        });
        if let Some(entry) = strangers.lock().get_mut(&number) {
            *entry = Some(task.abort_handle());
        }
    }
    drop(listener);
    let _ = tokio::time::timeout(DRAIN_WITHIN, graceful.shutdown()).await;
}

/// What answers the requests of a connection.
#[derive(Clone)]
struct Handler {
    policy: Arc<Policy>,
    routes: BoxedFilter<(Response,)>,
    seen: Arc<dyn Fn() + Send + Sync>,
}

/// One connection; `trust` is called when a request with the token comes.
fn connection(
    stream: TcpStream,
    handler: Handler,
    trust: impl Fn() + Clone + Send + 'static,
) -> http1::Connection<
    TokioIo<TcpStream>,
    impl Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send>,
> {
    // Small answers must not wait for an acknowledgement: 44 ms each otherwise.
    let _ = stream.set_nodelay(true);
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_headers(64)
        .max_buf_size(64 << 10)
        .serve_connection(
            TokioIo::new(stream),
            service_fn(move |request| {
                let (handler, trust) = (handler.clone(), trust.clone());
                async move { Ok::<_, Infallible>(handler.answer(request, trust).await) }
            }),
        )
}

impl Handler {
    /// The gate, then the routes.
    async fn answer(&self, request: Request<Incoming>, trust: impl Fn()) -> Response {
        let has_body = !request.body().is_end_stream();
        let (mut head, body) = request.into_parts();
        let verdict = self.policy.check(&head);
        let mut response = match verdict.ruling {
            Err(refusal) => {
                let mut response = refusal.response();
                if has_body {
                    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                response
            }
            Ok(Passage::Preflight) => preflight(&head.headers),
            Ok(Passage::To(caller)) => {
                if !matches!(caller, Caller::Stranger(_)) {
                    trust();
                    (self.seen)();
                }
                head.extensions.insert(caller);
                let (method, path) = (head.method.clone(), head.uri.path().to_owned());
                let service = TowerToHyperService::new(warp::service(self.routes.clone()));
                // In a task of its own: a panic becomes an answer, and work begun is ended when the client leaves.
                match tokio::spawn(service.call(Request::from_parts(head, body))).await {
                    Ok(Ok(response)) => match &verdict.shown_to {
                        Some(page) => self.policy.owners().shown(page, (&method, &path), response).await,
                        None => response,
                    },
                    _ => Refusal::internal().response(),
                }
            }
        };
        if let Some(origin) = &verdict.shown_to {
            show_to(origin, response.headers_mut());
        }
        // Nothing that a client can put words into is ever logged.
        tracing::debug!(status = response.status().as_u16(), "answered");
        for (name, value) in ALWAYS {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}
