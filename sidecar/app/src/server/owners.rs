//! Whose job is whose: a page is shown the jobs and sessions that pages of its own origin began, and no others. Nobody
//! can guess the names of jobs, sessions and volumes, so that what is not shown cannot be asked for. Programs of this computer see all.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http_body_util::BodyExt;
use serde_json::Value;
use warp::http::Method;
use warp::reply::Response;

use super::error::Refusal;
use super::origin::Origin;

/// Jobs that are remembered: many times those that are kept.
const MOST: usize = 4096;
/// Where jobs and sessions are begun and listed.
const OWNED: [&str; 2] = ["/v1/jobs", "/v1/sessions"];

/// What pages have started since the server did.
#[derive(Default)]
pub(super) struct Owners(Mutex<VecDeque<(String, Origin)>>);

impl Owners {
    fn lock(&self) -> MutexGuard<'_, VecDeque<(String, Origin)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer to a page: notes what it has started, leaves out of a list what others have.
    pub(super) async fn shown(
        &self,
        origin: &Origin,
        asked: (&Method, &str),
        response: Response,
    ) -> Response {
        let (method, path) = asked;
        let is_owned = OWNED.contains(&path) && [Method::POST, Method::GET].contains(method);
        if !is_owned || !response.status().is_success() {
            return response;
        }
        let (head, body) = response.into_parts();
        let Ok(body) = body.collect().await else { return Refusal::internal().response() };
        let bytes = match serde_json::from_slice(&body.to_bytes()) {
            Ok(Value::Array(jobs)) => serde_json::to_vec(&self.own(origin, jobs)),
            Ok(job) => {
                self.note(origin, &job);
                serde_json::to_vec(&job)
            }
            Err(error) => Err(error),
        };
        bytes
            .map_or_else(|_| Refusal::internal().response(), |bytes| Response::from_parts(head, bytes.into()))
    }

    /// A page of `origin` has started `job`.
    fn note(&self, origin: &Origin, job: &Value) {
        let Some(id) = job["id"].as_str() else { return };
        let mut owners = self.lock();
        owners.push_back((id.to_owned(), origin.clone()));
        if owners.len() > MOST {
            owners.pop_front();
        }
    }

    /// Those of `jobs` that pages of `origin` have started.
    fn own(&self, origin: &Origin, mut jobs: Vec<Value>) -> Vec<Value> {
        let owners = self.lock();
        let is_own = |job: &Value| owners.iter().any(|(id, owner)| owner == origin && job["id"] == **id);
        jobs.retain(is_own);
        jobs
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use warp::reply::Reply;

    use super::*;

    async fn shown(owners: &Owners, origin: &str, asked: (&Method, &str), body: &Value) -> Value {
        let response = warp::reply::json(body).into_response();
        let shown = owners.shown(&origin.parse().unwrap(), asked, response).await;
        serde_json::from_slice(&shown.into_body().collect().await.unwrap().to_bytes()).unwrap()
    }

    #[tokio::test]
    async fn pages_see_their_own_jobs_and_sessions_only() {
        for path in OWNED {
            let owners = Owners::default();
            let (begin, list) = ((&Method::POST, path), (&Method::GET, path));
            let (ours, theirs) = (json!({ "id": "a", "task": "total" }), json!({ "id": "b" }));
            assert_eq!(shown(&owners, "https://viewer.example", begin, &ours).await, ours);
            shown(&owners, "https://other.example", begin, &theirs).await;
            let all = json!([ours, theirs, { "id": "c" }]);
            assert_eq!(shown(&owners, "https://viewer.example", list, &all).await, json!([ours]));
            assert_eq!(shown(&owners, "https://third.example", list, &all).await, json!([]));
        }
    }
}
