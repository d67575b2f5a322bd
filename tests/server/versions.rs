//! An extension and a program of different ages: both learn, in words, which one to update.

use super::refused;
use crate::support::sidecar::Sidecar;

#[test]
fn the_older_side_is_told_to_update() {
    let home = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start(home.path(), &["--device", "cpu"]);
    let spoken = sidecar.get("/v1/info").json()["api"].clone();
    let version = |name: &str| {
        let (major, minor) = spoken[name].as_str().unwrap().split_once('.').unwrap();
        (major.parse::<u32>().unwrap(), minor.parse::<u32>().unwrap())
    };
    let (least, most) = (version("min"), version("max"));
    let ask = |version: &str| {
        sidecar.raw(&format!(
            "GET /v1/tasks HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAuthorization: Bearer {}\r\nX-Vesalius-Api: {version}\r\n\r\n",
            sidecar.port, sidecar.token
        ))
    };
    for (major, minor) in [least, most] {
        assert_eq!(ask(&format!("{major}.{minor}")).status, 200);
    }
    // A newer extension meets this program: the program is the one to update; and the other way about.
    let newer = [(most.0, most.1 + 1), (most.0 + 1, 0), (most.0 + 1, most.1 + 7)];
    let older = [(least.0 - 1, 0), (least.0 - 1, 99)];
    let sides = [
        (&newer[..], "update this program: `pip install --upgrade vesalius`"),
        (&older[..], "update the viewer's extension"),
    ];
    for (versions, hint) in sides {
        for (major, minor) in versions {
            let reply = ask(&format!("{major}.{minor}"));
            assert_eq!(refused(&reply), (426, "version_unsupported".into()), "{major}.{minor}");
            let refusal = reply.json();
            assert_eq!(refusal["hint"], hint, "{major}.{minor}");
            let message = refusal["message"].as_str().unwrap();
            let both = [format!("{major}.{minor}"), format!("{} to {}", text(least), text(most))];
            assert!(both.iter().all(|words| message.contains(words)), "{message}");
        }
    }
    for nonsense in ["1", "one.two", "1.0.0", "-1.0", "", "4294967296.0", "1.0, 1.0"] {
        assert_eq!(refused(&ask(nonsense)), (400, "bad_request".into()), "{nonsense}");
    }
    // Who does not say, is taken at its word.
    assert_eq!(sidecar.get("/v1/tasks").status, 200);
}

fn text((major, minor): (u32, u32)) -> String {
    format!("{major}.{minor}")
}
