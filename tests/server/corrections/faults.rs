//! Worker and server are killed in the middle of operations: no accepted edit is lost, none is made twice.

use std::time::Duration;

use super::*;

/// Operations, each sent until it is answered.
const OPERATIONS: usize = 40;

/// What a user does: prompts, strokes, the wheel, undo and redo, drawn by a fixed rule.
fn action(n: usize) -> Action {
    match n % 5 {
        1 => Action::Choose(0),
        2 => Action::Undo,
        3 => Action::Redo,
        4 => Action::Foreign,
        _ => Action::Prompt(Patient::new().click([14 + n % 4, 12 + n % 5, 10 + n % 6], Sign::Add, Some(1))),
    }
}

/// Does everything over HTTP as a viewer does that knows its own labels only; gives them and the events it was told of.
fn work(patient: &Patient, mut send: impl FnMut(&Value) -> Reply) -> (LabelMap, Vec<Event>) {
    let (mut seen, mut told) = (patient.labels.clone(), Vec::new());
    for n in 0..OPERATIONS {
        let action = action(n);
        let delta =
            matches!(action, Action::Foreign).then(|| patient.stroke(&seen, [4 + n % 20, 4, 4 + n % 9]));
        let request = Request { operation: format!("operation-{n}"), base: told.len() as u64, seconds: 1.0 };
        let reply = send(&operation(&request, &action, delta.as_ref()));
        if reply.status == 422 {
            // Nothing there can change any more; the same answer whoever is asked.
            continue;
        }
        assert_eq!(reply.status, 200, "{reply:?}");
        let event: Event = serde_json::from_value(reply.json()["event"].clone()).unwrap();
        assert_eq!(
            (event.revision, event.operation.as_str()),
            (told.len() as u64 + 1, request.operation.as_str())
        );
        event.delta.apply(&mut seen).unwrap();
        told.push(event);
    }
    assert!(told.len() > OPERATIONS / 2, "{}", told.len());
    (seen, told)
}

/// The session holds what the viewer holds, the journal every event that it was told of, once; and the crate, given
/// the journal, comes to the same bytes.
fn check(sidecar: &Sidecar, id: &str, patient: &Patient, (seen, told): &(LabelMap, Vec<Event>)) {
    assert_eq!(&events(sidecar, id, 0), told);
    assert_eq!(labels(sidecar, id), (told.len() as u64, seen.labels.as_slice().unwrap().to_vec()));
    let replayed = Session::replay(patient.image(), patient.labels.clone(), None, told.clone()).unwrap();
    assert_eq!(replayed.labels(), seen);
    // Without any fault the same comes out.
    let mut undisturbed = patient.session();
    for event in told {
        let request = Request { operation: event.operation.clone(), base: event.revision - 1, seconds: 1.0 };
        let again = directly(&mut undisturbed, &request, &event.action, Some(&event.delta));
        assert_eq!(&again, event);
    }
}

#[cfg(unix)]
#[test]
fn a_worker_that_is_killed_over_and_over_costs_no_edit() {
    let home = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start(home.path(), &[]);
    let patient = Patient::new();
    let id = patient.begin(&sidecar);
    let mut sent = 0u64;
    let result = work(&patient, |body| {
        sent += 1;
        std::thread::scope(|scope| {
            // At another moment of each operation; of some, its successors as well.
            scope.spawn(|| {
                for _ in 0..sent % 4 {
                    std::thread::sleep(Duration::from_micros(700 * (sent % 37)));
                    sidecar.kill_workers();
                }
            });
            loop {
                let reply = operate(&sidecar, &id, body);
                // Two workers in a row died of it: the client asks again.
                if reply.status != 500 {
                    return reply;
                }
                assert_eq!(reply.json()["code"], "worker_died", "{reply:?}");
            }
        })
    });
    check(&sidecar, &id, &patient, &result);
}

#[cfg(unix)]
#[test]
fn a_server_that_is_killed_over_and_over_costs_no_edit() {
    let home = tempfile::tempdir().unwrap();
    let patient = Patient::new();
    let mut sidecar = Sidecar::start(home.path(), &[]);
    let id = patient.begin(&sidecar);
    let mut sent = 0u64;
    let result = work(&patient, |body| {
        sent += 1;
        if sent.is_multiple_of(3) {
            // The answer is lost, and with it the server, at another moment each time.
            let path = format!("/v1/sessions/{id}/operations");
            sidecar.post_and_leave(&path, body);
            std::thread::sleep(Duration::from_micros(700 * (sent % 37)));
            sidecar.kill_now();
            sidecar = Sidecar::start(home.path(), &[]);
        }
        operate(&sidecar, &id, body)
    });
    check(&sidecar, &id, &patient, &result);
}
