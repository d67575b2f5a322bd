//! The API's document: made by the program, kept in `tests/golden/openapi.json` so that every change is seen, and true.
//! After a change of the API: `BLESS=1 cargo test -p system-tests openapi`.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::support::sidecar::Sidecar;

/// Folder of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Methods and paths of a document.
fn routes(document: &Value) -> Vec<(String, String)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let each = |(path, item): (&String, &Value)| -> Vec<(String, String)> {
        item.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.clone())).collect()
    };
    paths.flat_map(each).collect()
}

#[test]
fn the_document_is_the_one_that_is_kept() {
    let home = tempfile::tempdir().unwrap();
    let document = Sidecar::start(home.path(), &[]).get("/v1/openapi.json").json();
    let text = serde_json::to_string_pretty(&document).unwrap() + "\n";
    let path = root().join("tests/golden/openapi.json");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == text,
        "the API is not the one of tests/golden/openapi.json; if it is meant, run with BLESS=1"
    );
}

#[test]
fn what_is_documented_exists() {
    let home = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start(home.path(), &["--device", "cpu"]);
    let document = sidecar.get("/v1/openapi.json").json();
    let routes = routes(&document);
    assert!(routes.len() > 20, "{routes:?}");
    for (method, path) in &routes {
        let path = path.replace("{id}", &"0".repeat(32));
        let reply = match method.as_str() {
            "GET" => sidecar.get(&path),
            "DELETE" => sidecar.delete(&path),
            "PUT" => sidecar.put(&path, b"x"),
            "POST" => sidecar.post(&path, &Value::Null),
            other => panic!("{other} {path}"),
        };
        let is_known = reply.status == 200 || reply.json()["message"] != "there is no such route";
        assert!(is_known && reply.status != 405, "{method} {path}: {reply:?}");
    }
    // Every name that the document uses is explained in it.
    let text = document.to_string();
    for name in text.split("#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(document["components"]["schemas"][name].is_object(), "`{name}` is not explained");
    }
}

#[test]
fn what_exists_is_documented() {
    let home = tempfile::tempdir().unwrap();
    let document = Sidecar::start(home.path(), &[]).get("/v1/openapi.json").json();
    let documented: BTreeSet<String> = routes(&document).into_iter().map(|(_, path)| path).collect();
    let mut routed = BTreeSet::new();
    for entry in std::fs::read_dir(root().join("sidecar/app/src/server")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for route in text.split("warp::path!(").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            let part = |part: &str| {
                let part = part.trim();
                part.strip_prefix('"').map_or("{id}".to_owned(), |word| word.trim_end_matches('"').to_owned())
            };
            routed.insert(route.split('/').map(part).fold(String::new(), |path, part| path + "/" + &part));
        }
    }
    assert_eq!(routed, documented, "sidecar/app/src/server/openapi.rs lists all routes");
}

#[test]
fn codes_of_refusals_are_documented_and_stay() {
    let home = tempfile::tempdir().unwrap();
    let document = Sidecar::start(home.path(), &[]).get("/v1/openapi.json").json();
    let codes: BTreeSet<&str> = document["components"]["schemas"]["Code"]["enum"]
        .as_array()
        .unwrap()
        .iter()
        .map(|code| code.as_str().unwrap())
        .collect();
    let page = std::fs::read_to_string(root().join("docs/server.md")).unwrap();
    for code in codes {
        assert!(page.contains(&format!("`{code}`")), "docs/server.md does not tell of `{code}`");
    }
}
