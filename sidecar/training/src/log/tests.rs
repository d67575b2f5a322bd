//! Logs that nnU-Net 2.8.1 wrote.

use super::*;

/// Two epochs of the training of the built-in model.
const RECORDED: &str = "\
2026-11-23 08:11:16.355521: 
Epoch 20, step 2000, rate 0.00041 
2026-11-23 08:19:25.132552: train_loss -0.5477 
2026-11-23 08:19:25.132924: val_loss -0.6665 
2026-11-23 08:19:25.133037: Pseudo dice [np.float32(0.8236), np.float32(0.8206), np.float32(0.787), np.float32(0.7977), np.float32(0.8552)] 
2026-11-23 08:19:25.133111: Epoch time: 488.78 s 
2026-11-23 08:19:25.271081: Yayy! New best EMA pseudo Dice: 0.6743000149726868 
2026-11-23 08:19:26.691064: 
Epoch 21, step 2100, rate 0.00029 
2026-11-23 08:27:08.377285: train_loss -0.5537 
2026-11-23 08:27:08.377843: val_loss -0.6276 
2026-11-23 08:27:08.377931: Pseudo dice [np.float32(0.7462), np.float32(0.8073), np.float32(0.7803), np.float32(0.7917), np.float32(0.8573)] 
2026-11-23 08:27:08.377999: Epoch time: 461.69 s 
";

fn read(text: &str) -> Log {
    let mut log = Log::default();
    text.lines().for_each(|line| {
        log.read(line);
    });
    log
}

#[test]
fn a_recorded_log_is_understood() {
    let mut log = read(RECORDED);
    assert_eq!(log.epochs.len(), 22);
    let last = &log.epochs[21];
    assert_eq!(
        (last.train_loss, last.validation_loss, last.seconds),
        (Some(-0.5537), Some(-0.6276), Some(461.69))
    );
    assert_eq!(last.dice.len(), 5);
    assert!((last.mean_dice().unwrap() - 0.79656).abs() < 1e-9);
    log.planned = 24;
    assert_eq!(
        log.sentence().unwrap(),
        "epoch 22: loss -0.554, on validation -0.628, pseudo Dice 0.797, 923 s left"
    );
    assert_eq!(log.progress(), (2200, 2400));
}

#[test]
fn steps_move_the_bar_and_a_new_start_begins_the_epoch_again() {
    let mut log =
        read("@{\"stage\": \"training\", \"epochs\": 4}\n2026-11-23 08:00:00.1: Epoch 0\nstep 5 of 20\n");
    assert_eq!((log.stage.as_str(), log.progress()), ("training", (25, 400)));
    log.read("2026-11-23 08:00:00.1: Epoch time: 3.50 s");
    log.read("2026-11-23 08:00:00.1: Epoch 1");
    assert_eq!(log.progress(), (100, 400));
    log.read("step 20 of 20");
    assert_eq!(log.progress(), (200, 400));
    // Broken off here, and gone on from the checkpoint after epoch 0.
    log.read("2026-11-23 09:00:00.1: Epoch 1");
    assert_eq!((log.epochs.len(), log.progress()), (2, (100, 400)));
    assert_eq!(log.read("@{\"stage\": \"done\", \"folder\": \"x\"}"), Some(Note::Done("x".to_owned())));
}

#[test]
fn labels_that_did_not_occur_have_no_dice() {
    let log = read("Epoch 0\nPseudo dice [np.float64(nan), 0.5]\nEpoch time: 1.0 s\n");
    assert_eq!(log.epochs[0].dice, [None, Some(0.5)]);
    assert_eq!(log.epochs[0].mean_dice(), Some(0.5));
}

#[test]
fn other_lines_say_nothing() {
    for line in
        ["", "@", "@{", "@[]", "Epoch", "Epoch x", "step", "step 1", "step 1 of", "Pseudo dice", "2026:"]
    {
        let mut log = Log::default();
        let note = log.read(line);
        assert!(note.is_none(), "{line}: {note:?}");
    }
}
