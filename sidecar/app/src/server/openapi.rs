//! The API as an OpenAPI document, made of the very types that the routes read and write.
//!
//! A new route gets a line in [`all`] or [`corrections`]; a system test compares that list with the router, and the document with
//! `tests/golden/openapi.json`.

use std::collections::BTreeMap;

use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, Content, InfoBuilder, ObjectBuilder, OneOfBuilder, OpenApi, OpenApiBuilder, PathItem,
    PathsBuilder, Ref, RefOr, Required, ResponseBuilder, Schema, Type,
};
use utoipa::{PartialSchema, ToSchema};

use super::access::{
    PairingAnswer, PairingBegin, PairingConfirm, PairingPending, PairingRequest, SessionConfirm,
    SessionOffer, SessionRequest, SessionView,
};
use super::correcting::bodies;
use super::error::Refusal;
use super::header::{NewFile, NewRemote, NewVolume};
use super::protocol::{InstallRequest, JobRequest};
use super::{API_MAJOR, API_MINOR, clients, job_view, pairing, results, routes, views, volume_view};

/// The type of JSON.
const JSON: &str = "application/json";
/// The type of voxels and files.
const BYTES: &str = "application/octet-stream";

/// All routes: method, path, what it is for, what it takes and gives.
fn all() -> Vec<Route> {
    vec![
        get("/v1/live", "Whether the server is there: `ok`").open().gives_raw("text/plain"),
        get("/v1/info", "Versions, device, memory").gives::<routes::Info>(200),
        get("/v1/openapi.json", "This document").gives_some("an OpenAPI document"),
        get("/v1/tasks", "What can be segmented").gives::<Vec<views::TaskView>>(200),
        get("/v1/models", "What is installed").gives::<Vec<views::ModelView>>(200),
        post("/v1/models", "Installs the models of a task")
            .takes::<InstallRequest>()
            .keyed()
            .gives::<job_view::View>(202),
        delete("/v1/models/{id}", "Removes a model").gives_nothing(),
        post("/v1/session", "The server proves itself")
            .open()
            .takes::<SessionRequest>()
            .gives::<SessionOffer>(200),
        post("/v1/session/confirm", "A paired page proves itself, and gets a token")
            .open()
            .takes::<SessionConfirm>()
            .gives::<SessionView>(200),
        post("/v1/pair/begin", "A page begins a pairing")
            .open()
            .takes::<PairingBegin>()
            .gives::<pairing::Begun>(200),
        post("/v1/pair/confirm", "A page proves that it knows the code; 202: send it again")
            .open()
            .takes::<PairingConfirm>()
            .gives::<pairing::Paired>(200)
            .gives::<PairingPending>(202),
        post("/v1/pair", "A code to show to the user").takes::<PairingRequest>().gives::<pairing::Shown>(201),
        get("/v1/pair", "How far the pairing is").gives::<pairing::View>(200),
        post("/v1/pair/answer", "The user's word").takes::<PairingAnswer>().gives::<pairing::View>(200),
        get("/v1/clients", "Paired pages").gives::<Vec<clients::View>>(200),
        delete("/v1/clients/{id}", "Forgets a paired page; its sessions end at once").gives_nothing(),
        post(
            "/v1/volumes",
            "A volume that waits for its voxels or a file, or a series that the server fetches",
        )
        .takes_one::<NewVolume, NewFile, NewRemote>()
        .keyed()
        .gives::<volume_view::View>(201),
        get("/v1/volumes/{id}", "How much of a volume is there, and what it is")
            .gives::<volume_view::View>(200),
        delete("/v1/volumes/{id}", "Forgets a volume").gives_nothing(),
        put("/v1/volumes/{id}/data", "A piece of the voxels or of the file")
            .query("offset", "of the first byte")
            .takes_raw()
            .gives::<volume_view::View>(200),
        post(
            "/v1/volumes/{id}/complete",
            "The end of a file whose length was not told, or which of its readings to take",
        )
        .takes_some("`resolve`: the keys and values of the choices")
        .gives::<volume_view::View>(202),
        post("/v1/jobs", "Starts a job").takes::<JobRequest>().keyed().gives::<job_view::View>(202),
        get("/v1/jobs", "All jobs, the oldest first, or the results of a DICOM series, the newest first")
            .query("series", "a Series Instance UID")
            .gives::<Vec<job_view::View>>(200),
        get("/v1/jobs/{id}", "A job").gives::<job_view::View>(200),
        delete("/v1/jobs/{id}", "Stops a job that has not ended, forgets one that has")
            .gives::<job_view::View>(202),
        get("/v1/jobs/{id}/events", "A job as it changes, a line of JSON each")
            .gives_raw("application/x-ndjson"),
        get("/v1/jobs/{id}/segmentation", "What was found").gives::<results::Table>(200),
        get("/v1/jobs/{id}/labels", "One byte a voxel, in the input's own grid and order, or a file")
            .query("format", "`nifti` or `seg.nrrd`")
            .gives_raw(BYTES),
    ]
}

/// The routes of corrections.
fn corrections() -> Vec<Route> {
    vec![
        post("/v1/sessions", "Begins to correct a segmentation")
            .takes::<bodies::NewSession>()
            .keyed()
            .gives::<bodies::View>(201),
        get("/v1/sessions", "All sessions, or those of a DICOM series, the newest first")
            .query("series", "a Series Instance UID")
            .gives::<Vec<bodies::Summary>>(200),
        get("/v1/sessions/{id}", "A session").gives::<bodies::View>(200),
        delete("/v1/sessions/{id}", "Forgets a session, its labels and its history").gives_nothing(),
        post("/v1/sessions/{id}/operations", "Changes something; sent again, it changes nothing more")
            .takes::<bodies::Operation>()
            .gives::<bodies::Done>(200),
        post("/v1/sessions/{id}/hover", "What a prompt would do at least; ends an older request")
            .takes::<bodies::Hover>()
            .gives::<bodies::Ghost>(200),
        post("/v1/sessions/{id}/propose", "Asks a network about the newest prompt; ends an older request")
            .takes::<bodies::Propose>()
            .gives::<bodies::Proposed>(200),
        get("/v1/sessions/{id}/events", "The events after a revision, a line of JSON each")
            .query("since", "the revision; 0 when left out")
            .query("wait", "seconds to wait for one, 30 at most")
            .gives_raw("application/x-ndjson"),
        get("/v1/sessions/{id}/suspicious", "Places that deserve a look, the gravest first")
            .query("most", "20 when left out")
            .gives::<bodies::Suspicious>(200),
        get("/v1/sessions/{id}/labels", "One byte a voxel, in the volume's own grid and order, or a file")
            .query("format", "`nifti`, `seg.nrrd` or `dicom-seg`")
            .gives_raw(BYTES),
    ]
}

/// Types by their names.
type Schemas = Vec<(String, RefOr<Schema>)>;

/// A route, in OpenAPI's words.
struct Route {
    method: HttpMethod,
    path: &'static str,
    operation: OperationBuilder,
    schemas: Schemas,
    needs_token: bool,
}

fn get(path: &'static str, says: &str) -> Route {
    Route::new(HttpMethod::Get, path, says)
}

fn post(path: &'static str, says: &str) -> Route {
    Route::new(HttpMethod::Post, path, says)
}

fn put(path: &'static str, says: &str) -> Route {
    Route::new(HttpMethod::Put, path, says)
}

fn delete(path: &'static str, says: &str) -> Route {
    Route::new(HttpMethod::Delete, path, says)
}

impl Route {
    fn new(method: HttpMethod, path: &'static str, says: &str) -> Route {
        let mut operation = OperationBuilder::new().summary(Some(says));
        for name in path.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name) {
            let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path);
            operation = operation.parameter(parameter.required(Required::True).schema(Some(text())));
        }
        Route { method, path, operation, schemas: Schemas::new(), needs_token: true }
    }

    /// Needs no token.
    fn open(mut self) -> Route {
        self.needs_token = false;
        self
    }

    /// Can be told something after `?`.
    fn query(mut self, name: &str, says: &str) -> Route {
        let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query);
        self.operation = self.operation.parameter(parameter.description(Some(says)).schema(Some(text())));
        self
    }

    /// Takes JSON of this type.
    fn takes<T: ToSchema>(mut self) -> Route {
        let schema = self.schema::<T>();
        self.takes_content(JSON, Content::new(Some(schema)))
    }

    /// Is done once for each key, however often it is sent.
    fn keyed(mut self) -> Route {
        let parameter = ParameterBuilder::new().name("Idempotency-Key").parameter_in(ParameterIn::Header);
        let says = "sent again with the same key, it is not done again";
        self.operation = self.operation.parameter(parameter.description(Some(says)).schema(Some(text())));
        self
    }

    /// Takes JSON of one of these types.
    fn takes_one<A: ToSchema, B: ToSchema, C: ToSchema>(mut self) -> Route {
        let items = [self.schema::<A>(), self.schema::<B>(), self.schema::<C>()];
        let one = items.into_iter().fold(OneOfBuilder::new(), OneOfBuilder::item).build();
        self.takes_content(JSON, Content::new(Some(Schema::OneOf(one))))
    }

    /// Takes JSON that is described elsewhere.
    fn takes_some(self, says: &str) -> Route {
        self.takes_content(JSON, Content::new(Some(some(says))))
    }

    /// Takes bytes.
    fn takes_raw(self) -> Route {
        self.takes_content(BYTES, Content::new(None::<Schema>))
    }

    fn takes_content(mut self, kind: &str, content: Content) -> Route {
        let body = RequestBodyBuilder::new().content(kind, content).required(Some(Required::True)).build();
        self.operation = self.operation.request_body(Some(body));
        self
    }

    /// Answers with JSON of this type.
    fn gives<T: ToSchema>(mut self, status: u16) -> Route {
        let schema = self.schema::<T>();
        self.gives_content(status, Some((JSON, Content::new(Some(schema)))))
    }

    /// Answers with JSON that is described elsewhere.
    fn gives_some(self, says: &str) -> Route {
        self.gives_content(200, Some((JSON, Content::new(Some(some(says))))))
    }

    /// Answers with bytes of this kind.
    fn gives_raw(self, kind: &str) -> Route {
        self.gives_content(200, Some((kind, Content::new(None::<Schema>))))
    }

    /// Answers with no body.
    fn gives_nothing(self) -> Route {
        self.gives_content(204, None)
    }

    fn gives_content(mut self, status: u16, content: Option<(&str, Content)>) -> Route {
        let mut response = ResponseBuilder::new().description("done");
        if let Some((kind, content)) = content {
            response = response.content(kind, content);
        }
        self.operation = self.operation.response(status.to_string(), response);
        self
    }

    /// A type, by its name where it has one.
    fn schema<T: ToSchema>(&mut self) -> RefOr<Schema> {
        T::schemas(&mut self.schemas);
        let schema = <T as PartialSchema>::schema();
        match schema {
            RefOr::T(Schema::Array(_)) => schema,
            schema => {
                self.schemas.push((T::name().into_owned(), schema));
                Ref::from_schema_name(T::name()).into()
            }
        }
    }
}

fn text() -> Schema {
    ObjectBuilder::new().schema_type(Type::String).build().into()
}

fn some(says: &str) -> Schema {
    ObjectBuilder::new().description(Some(says)).build().into()
}

/// The document.
pub(super) fn document() -> OpenApi {
    let mut schemas: BTreeMap<String, RefOr<Schema>> = BTreeMap::new();
    let mut found = vec![("Refusal".to_owned(), Refusal::schema())];
    Refusal::schemas(&mut found);
    let mut items: BTreeMap<&'static str, PathItem> = BTreeMap::new();
    for route in all().into_iter().chain(corrections()) {
        found.extend(route.schemas);
        let refusal = Content::new(Some(Ref::from_schema_name("Refusal")));
        let refused = ResponseBuilder::new().description("refused").content(JSON, refusal);
        let mut operation = route.operation.response("default", refused);
        if !route.needs_token {
            operation = operation.security(SecurityRequirement::default());
        }
        let item = PathItem::new(route.method, operation);
        match items.get_mut(route.path) {
            Some(known) => known.merge_operations(item),
            None => drop(items.insert(route.path, item)),
        }
    }
    schemas.extend(found);
    let paths = items.into_iter().fold(PathsBuilder::new(), |paths, (path, item)| paths.path(path, item));
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    let components = ComponentsBuilder::new().schemas_from_iter(schemas).security_scheme("token", bearer);
    let words = "The engine for viewers on this computer. docs/server.md tells how to find it and how it lets one in.";
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("vesalius serve")
                .version(format!("{API_MAJOR}.{API_MINOR}"))
                .description(Some(words)),
        )
        .paths(paths)
        .components(Some(components.build()))
        .security(Some([SecurityRequirement::new::<_, [&str; 0], &str>("token", [])]))
        .build()
}
