//! How a session is made, in the supervisor: what it needs is linked into a folder of its own, so that it stays when
//! volume and job go.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;

use super::super::error::{Answer, Code, Refusal};
use super::super::id::Id;
use super::super::jobs::{Job, digest, fingerprint};
use super::super::protocol::{Ask, LABELS, ORIGIN, Request, TABLE};
use super::super::routes::done;
use super::super::volumes::{Chosen, Volume};
use super::super::{Server, blocking};
use super::bodies::{NewSession, View};
use super::orders::{Beginning, Begun, Correct, IMAGE, RUNNER_UP, START, START_VOLUME, What};
use super::registry::{Record, Session, since_1970};

/// What a session is made of.
struct Parts {
    /// Held until its files are linked.
    volume: Arc<Volume>,
    image: Chosen,
    job: Option<Arc<Job>>,
    labels: Option<(Arc<Volume>, Chosen)>,
}

impl Server {
    /// Makes a session. Under a key that is known it is the session of that key.
    pub(super) async fn begin_session(
        self: &Arc<Server>,
        new: NewSession,
        key: Option<String>,
    ) -> Answer<View> {
        self.check_open()?;
        let key = key.map(|key| Ok([key, fingerprint(&new)?])).transpose()?;
        let _making = self.corrections.making.lock().await;
        if let Some(session) = self.corrections.known(key.as_ref())? {
            return self.session_view(&session).await;
        }
        let parts = self.parts(&new)?;
        let id = Id::new().map_err(|_| Refusal::internal())?;
        let folder = self.corrections.folder(&id)?;
        let record = Record {
            id,
            key,
            series: parts.image.image.series.as_ref().map(|uid| digest(uid.as_bytes())),
            volume: parts.volume.id.clone(),
            job: new.job.clone(),
            dims: parts.image.image.grid.size,
            created: since_1970(SystemTime::now()),
        };
        let answer = self.begin_in(&folder, parts, new, record).await;
        if answer.is_err() {
            // Nobody was told of it.
            let _ = blocking(move || Ok(fs::remove_dir_all(&folder))).await;
        }
        answer
    }

    async fn begin_in(
        self: &Arc<Server>,
        folder: &Path,
        parts: Parts,
        new: NewSession,
        record: Record,
    ) -> Answer<View> {
        let grid = parts.image.image.grid.clone();
        let into = folder.to_owned();
        blocking(move || parts.link(&into)).await?;
        let beginning = Beginning { grid, structures: new.structures, locked: new.locked };
        let order = Correct { folder: folder.to_owned(), revision: 0, what: What::Begin(beginning) };
        let begun = self.corrector.ask(Ask::Correct(order)).await?;
        let Begun { events, state } = serde_json::from_value(begun).map_err(|_| Refusal::internal())?;
        let session = self.corrections.begin(folder, record)?;
        let session = self.written(session, &events).await?;
        Ok(View { about: session.about(), state })
    }

    /// Writes the first events and the record down.
    async fn written(self: &Arc<Server>, session: Session, events: &[Value]) -> Answer<Arc<Session>> {
        let turn = session.turn().await;
        drop(session.append(turn, events).await?);
        let server = Arc::clone(self);
        blocking(move || server.corrections.keep(session)).await
    }

    /// Finds what is asked for.
    fn parts(&self, new: &NewSession) -> Answer<Parts> {
        let bad = |message: &str, hint: &str| Err(Refusal::new(Code::BadRequest, message, hint));
        if new.job.is_some() && new.labels.is_some() {
            return bad("both `job` and `labels` are given", "leave one of them out");
        }
        let job = new.job.as_ref().map(|id| done(self.jobs.get(id)?)).transpose()?;
        let request = job.as_ref().map(|job| job.request());
        let segmented = match &request {
            Some(Request::Segment(request)) => Some(request),
            _ => None,
        };
        let id = new.volume.as_ref().or(segmented.map(|request| &request.volume));
        let Some(id) = id else {
            return bad("neither `volume` nor `job` is given", "name the image to correct on");
        };
        let volume = self.volumes.get(id)?;
        let group = new.group.as_deref().or_else(|| {
            segmented.filter(|request| request.volume == *id).and_then(|request| request.group.as_deref())
        });
        let image = volume.choose_image(group)?;
        let labels = new.labels.as_ref().map(|id| {
            let volume = self.volumes.get(id)?;
            let chosen = volume.choose_image(None)?;
            Ok((volume, chosen))
        });
        Ok(Parts { image, volume, job, labels: labels.transpose()? })
    }
}

impl Parts {
    /// Brings everything into the session's folder.
    fn link(self, folder: &Path) -> Answer<()> {
        let link = |from: &Path, name: &str| {
            let to = folder.join(name);
            let linked = fs::hard_link(from, &to).or_else(|_| fs::copy(from, &to).map(drop));
            linked.map_err(|error| Refusal::spool(&error))
        };
        link(&self.image.voxels, IMAGE)?;
        if let Some(origin) = &self.image.origin {
            link(origin, ORIGIN)?;
        }
        if let Some((_volume, labels)) = &self.labels {
            link(&labels.voxels, START_VOLUME)?;
        }
        if let Some(job) = &self.job {
            link(&job.folder.join(LABELS), START)?;
            link(&job.folder.join(TABLE), TABLE)?;
            let runner_up = job.folder.join(RUNNER_UP);
            if runner_up.exists() {
                link(&runner_up, RUNNER_UP)?;
            }
        }
        Ok(())
    }
}
