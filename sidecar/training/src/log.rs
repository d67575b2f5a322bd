//! nnU-Net's log, line by line, as it is printed or as it was kept: how far the training is, and its curve.

use serde_json::Value;

/// What one epoch came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Epoch {
    /// Mean loss of its steps; nnU-Net's Dice loss is negative.
    pub train_loss: Option<f64>,
    /// Loss on patches of the validation cases.
    pub validation_loss: Option<f64>,
    /// "Pseudo Dice" of each label on these patches; none where a label did not occur.
    pub dice: Vec<Option<f64>>,
    /// Seconds that it took.
    pub seconds: Option<f64>,
}

impl Epoch {
    /// Mean of the labels that occurred.
    #[must_use]
    pub fn mean_dice(&self) -> Option<f64> {
        let found: Vec<f64> = self.dice.iter().flatten().copied().collect();
        (!found.is_empty()).then(|| found.iter().sum::<f64>() / found.len() as f64)
    }
}

/// Something that a line told.
#[derive(Debug, Clone, PartialEq)]
pub enum Note {
    /// A new stage of the job began.
    Stage(String),
    /// A step or an epoch is done.
    Step,
    /// An epoch is over; the numbers are the last of [`Log::epochs`].
    Epoch,
    /// The versions of the environment, by package.
    Versions(Value),
    /// The job is done; nnU-Net's folder of the model.
    Done(String),
}

/// A log as far as it was read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Log {
    /// The epochs, by number; one that was broken off and began again counts once.
    pub epochs: Vec<Epoch>,
    /// The stage.
    pub stage: String,
    /// Epochs that are planned; 0 while unknown.
    pub planned: u32,
    epoch: usize,
    step: (u32, u32),
}

impl Log {
    /// Takes in a line; tells what it said, if anything.
    pub fn read(&mut self, line: &str) -> Option<Note> {
        if let Some(json) = line.strip_prefix('@') {
            return self.event(&serde_json::from_str(json).ok()?);
        }
        let text = without_time(line);
        if let Some(rest) = text.strip_prefix("Epoch time: ") {
            let seconds = rest.split(' ').next()?.parse().ok()?;
            self.set(|epoch| epoch.seconds = Some(seconds));
            self.step = (0, self.step.1);
            return Some(Note::Epoch);
        }
        let mut words = text.split_whitespace();
        match (words.next()?, words.next()) {
            // `Epoch 3`, or as trainers write it that add something: `Epoch 3, step 300`.
            ("Epoch", Some(number)) => {
                self.epoch = number.trim_end_matches(',').parse().ok()?;
                self.epochs.truncate(self.epoch);
                self.epochs.resize(self.epoch + 1, Epoch::default());
                self.step = (0, self.step.1);
                Some(Note::Step)
            }
            ("step", Some(number)) => {
                self.step = (number.parse().ok()?, words.nth(1)?.parse().ok()?);
                Some(Note::Step)
            }
            ("train_loss", Some(number)) => self.set(|epoch| epoch.train_loss = number.parse().ok()),
            ("val_loss", Some(number)) => self.set(|epoch| epoch.validation_loss = number.parse().ok()),
            ("Pseudo", Some("dice")) => self.set(|epoch| epoch.dice = dices(text)),
            _ => None,
        }
    }

    fn set(&mut self, change: impl FnOnce(&mut Epoch)) -> Option<Note> {
        if self.epochs.is_empty() {
            self.epochs.push(Epoch::default());
        }
        self.epochs.last_mut().map(change);
        None
    }

    fn event(&mut self, event: &Value) -> Option<Note> {
        if let Some(epochs) = event["epochs"].as_u64() {
            self.planned = u32::try_from(epochs).unwrap_or(u32::MAX);
        }
        if let Some(stage) = event["stage"].as_str() {
            stage.clone_into(&mut self.stage);
        }
        if event["versions"].is_object() {
            return Some(Note::Versions(event["versions"].clone()));
        }
        event["stage"].as_str()?;
        match event["folder"].as_str() {
            Some(folder) if self.stage == "done" => Some(Note::Done(folder.to_owned())),
            _ => Some(Note::Stage(self.stage.clone())),
        }
    }

    /// Steps done and planned, for a bar: in hundredths of an epoch.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        let (step, of) = self.step;
        let over = self.epochs.get(self.epoch).is_some_and(|epoch| epoch.seconds.is_some());
        let part = if over { 100 } else { u64::from(step) * 100 / u64::from(of.max(1)) };
        (self.epoch as u64 * 100 + part, u64::from(self.planned) * 100)
    }

    /// A line for people about the last whole epoch.
    #[must_use]
    pub fn sentence(&self) -> Option<String> {
        let (number, epoch) =
            self.epochs.iter().enumerate().rev().find(|(_, epoch)| epoch.seconds.is_some())?;
        let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"));
        let left = match (self.planned as usize).checked_sub(number + 1) {
            Some(left) if self.planned > 0 => {
                format!(", {:.0} s left", epoch.seconds.unwrap_or(0.0) * left as f64)
            }
            _ => String::new(),
        };
        Some(format!(
            "epoch {}: loss {}, on validation {}, pseudo Dice {}{left}",
            number + 1,
            shown(epoch.train_loss),
            shown(epoch.validation_loss),
            shown(epoch.mean_dice()),
        ))
    }
}

/// The line without nnU-Net's `2026-11-23 08:11:12.608991: `.
fn without_time(line: &str) -> &str {
    let line = line.trim();
    match line.split_once(": ") {
        Some((time, rest))
            if time.len() >= 19 && time.starts_with(|c: char| c.is_ascii_digit()) && time.contains(':') =>
        {
            rest.trim()
        }
        _ => line,
    }
}

/// `Pseudo dice [np.float32(0.8236), nan]`: the numbers, whether NumPy writes their type or not.
fn dices(text: &str) -> Vec<Option<f64>> {
    let list = text.split_once('[').and_then(|(_, rest)| rest.rsplit_once(']')).map_or("", |(list, _)| list);
    let number = |item: &str| {
        let item = item.trim();
        let bare = item.split_once('(').map_or(item, |(_, rest)| rest.trim_end_matches(')'));
        bare.parse().ok().filter(|value: &f64| value.is_finite())
    };
    list.split(',').filter(|item| !item.trim().is_empty()).map(number).collect()
}

#[cfg(test)]
mod tests;
