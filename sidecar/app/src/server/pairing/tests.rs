//! A pairing goes well in one way, and ends in every other.

use super::*;

const HERE: (u16, &str) = (38_917, "instance");
const NONCE: &str = "nonce";

/// A pairing with its clients, and a clock that is moved by hand.
struct Scene {
    pairing: Pairing,
    clients: Clients,
    code: String,
    now: Instant,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let clients = Clients::open(folder.path().join("clients.json")).unwrap();
        let (pairing, now) = (Pairing::default(), Instant::now());
        let code = pairing.open(HERE.0, now).unwrap().code;
        Scene { pairing, clients, code, now, _folder: folder }
    }

    fn begin(&self, origin: &str) -> Answer<Begun> {
        self.pairing.begin(&origin.parse().unwrap(), "OHIF".into(), NONCE, HERE, self.now)
    }

    /// What a page that was told `begun` proves with `code`.
    fn key(&self, origin: &str, begun: &Begun, code: &str) -> Key {
        let digits: String = code.split('-').skip(1).collect();
        let place = format!("{origin}|{}|{}", begun.port, begun.instance);
        pairing_key(&digits, NONCE, &begun.server_nonce, &place).unwrap()
    }

    fn confirm(&self, origin: &str, begun: &Begun, code: &str) -> Answer<Option<Paired>> {
        let proof = prove(&self.key(origin, begun, code), "pair-c").unwrap();
        self.pairing.confirm(&origin.parse().unwrap(), &begun.pair_id, &proof, self.now)
    }

    fn state(&self) -> State {
        self.pairing.view(self.now).state
    }
}

const PAGE: &str = "https://viewer.example";
const OTHER: &str = "https://other.example";
const WRONG: &str = "38917-0000-0000-0000";

#[test]
fn the_user_allows_a_page_that_knows_the_code() {
    let scene = Scene::new();
    let (port, digits) = scene.code.split_once('-').unwrap();
    assert_eq!((port, digits.len()), ("38917", 14));
    let begun = scene.begin(PAGE).unwrap();
    assert_eq!(scene.state(), State::Waiting);
    assert_eq!(scene.pairing.answer(true, &scene.clients, scene.now).unwrap_err().code, Code::Conflict);
    assert_eq!(scene.confirm(PAGE, &begun, &scene.code).unwrap(), None);
    let view = scene.pairing.view(scene.now);
    assert_eq!(
        (view.state, view.origin.unwrap().as_str(), view.label.as_deref()),
        (State::Asking, PAGE, Some("OHIF"))
    );
    assert_eq!(scene.begin(OTHER).unwrap_err().code, Code::PairingClosed);
    scene.pairing.answer(true, &scene.clients, scene.now).unwrap();
    let paired = scene.confirm(PAGE, &begun, &scene.code).unwrap().unwrap();
    let key = scene.key(PAGE, &begun, &scene.code);
    assert_eq!(paired.proof, prove(&key, "pair-s").unwrap());
    let kept = scene.clients.key(paired.client_id.as_str(), &PAGE.parse().unwrap()).unwrap();
    assert_eq!(kept.1, long_term_key(&key).unwrap());
    // The user is not asked twice, and nobody else comes in by the same code.
    assert!(scene.pairing.answer(true, &scene.clients, scene.now).is_err());
    assert_eq!(scene.clients.list().len(), 1);
}

#[test]
fn the_users_no_is_final() {
    let scene = Scene::new();
    let begun = scene.begin(PAGE).unwrap();
    scene.confirm(PAGE, &begun, &scene.code).unwrap();
    scene.pairing.answer(false, &scene.clients, scene.now).unwrap();
    assert_eq!(scene.confirm(PAGE, &begun, &scene.code).unwrap_err().code, Code::PairingRefused);
    assert!(scene.pairing.answer(true, &scene.clients, scene.now).is_err());
    assert!(scene.clients.list().is_empty());
}

#[test]
fn five_wrong_codes_end_it_whoever_sends_them() {
    let scene = Scene::new();
    let begun = scene.begin(PAGE).unwrap();
    for left in (0..TRIES).rev() {
        let begun = scene.begin(OTHER);
        assert_eq!(scene.confirm(OTHER, &begun.unwrap(), WRONG).unwrap_err().code, Code::PairingFailed);
        assert_eq!(scene.state() == State::Expired, left == 0);
    }
    assert_eq!(scene.confirm(PAGE, &begun, &scene.code).unwrap_err().code, Code::PairingClosed);
    assert!(!scene.pairing.lets_in(&"https://third.example".parse().unwrap(), scene.now));
}

#[test]
fn codes_and_questions_expire() {
    let mut scene = Scene::new();
    let begun = scene.begin(PAGE).unwrap();
    scene.now += LASTS;
    assert_eq!(scene.confirm(PAGE, &begun, &scene.code).unwrap_err().code, Code::PairingClosed);
    assert!(scene.begin(PAGE).is_err());
    scene.code = scene.pairing.open(HERE.0, scene.now).unwrap().code;
    let begun = scene.begin(PAGE).unwrap();
    scene.confirm(PAGE, &begun, &scene.code).unwrap();
    scene.now += LASTS;
    assert!(scene.pairing.answer(true, &scene.clients, scene.now).is_err());
    assert_eq!((scene.state(), scene.clients.list().len()), (State::Expired, 0));
}

#[test]
fn a_proof_is_worth_nothing_elsewhere() {
    let scene = Scene::new();
    let (mine, theirs) = (scene.begin(PAGE).unwrap(), scene.begin(OTHER).unwrap());
    // Of another origin, for another's attempt, with another server's port.
    assert!(scene.confirm(OTHER, &mine, &scene.code).is_err());
    assert!(scene.confirm(PAGE, &theirs, &scene.code).is_err());
    let relayed = Begun {
        pair_id: mine.pair_id.clone(),
        server_nonce: mine.server_nonce.clone(),
        instance: "instance".into(),
        port: 5000,
    };
    assert_eq!(scene.confirm(PAGE, &relayed, &scene.code).unwrap_err().code, Code::PairingFailed);
    // A new code voids the old one.
    scene.pairing.open(HERE.0, scene.now).unwrap();
    assert!(scene.confirm(PAGE, &mine, &scene.code).is_err());
}

#[test]
fn pages_know_of_the_server_only_while_they_may() {
    let mut scene = Scene::new();
    let (page, other): (Origin, Origin) = (PAGE.parse().unwrap(), OTHER.parse().unwrap());
    assert!(!Pairing::default().lets_in(&page, scene.now));
    assert!(scene.pairing.lets_in(&page, scene.now) && scene.pairing.lets_in(&other, scene.now));
    let begun = scene.begin(PAGE).unwrap();
    scene.begin(OTHER).unwrap();
    scene.confirm(PAGE, &begun, &scene.code).unwrap();
    assert!(scene.pairing.lets_in(&page, scene.now) && !scene.pairing.lets_in(&other, scene.now));
    scene.now += 2 * LASTS;
    assert!(!scene.pairing.lets_in(&page, scene.now));
}

#[test]
fn pages_cannot_crowd_in_or_dress_up() {
    let scene = Scene::new();
    for number in 0..MOST_PAGES {
        scene.begin(&format!("https://page{number}.example")).unwrap();
        scene.begin(&format!("https://page{number}.example")).unwrap();
    }
    assert_eq!(scene.begin(PAGE).unwrap_err().code, Code::TooManyAttempts);
    for label in ["OHIF", "OHIF 3.13 - reading room_2"] {
        check_label(label).unwrap();
    }
    for label in ["", "https://trusted.example", "a\u{1b}[2J", "line\nline", "\u{202e}FIHO", &"a".repeat(41)]
    {
        assert!(check_label(label).is_err(), "{label:?}");
    }
}
