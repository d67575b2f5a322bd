//! The pickle machine: turns the bytes of `data.pkl` into inert values. It calls nothing, imports nothing, and its
//! memory and time are bounded by the file's length and the limits below.
//!
//! The bytes are walked twice. The first walk notes which memo slots are ever read again; the second runs the
//! machine and shares only those, so that the numbers of a training log leave nothing behind.

use std::collections::HashMap;

use crate::error::Result;
use crate::opcode::{Decoder, Instruction};
use crate::value::{Global, Node, RANK_LIMIT, Storage, Tensor, Value, global};

/// Longest chain of containers; checkpoints have about 6.
const DEPTH_LIMIT: usize = 200;
/// Most weight alive at a time (see [`Value::weight`]), about 100 MB. A log of 8000 epochs by 117 classes has 1e6.
const WEIGHT_LIMIT: usize = 4 << 20;
/// Highest memo slot.
const SLOT_LIMIT: u32 = 1 << 26;

/// A pickle's content.
#[derive(Debug)]
pub(crate) struct Pickle {
    root: Value,
    shared: Vec<Value>,
    /// Names of objects that were skipped, in order of appearance.
    pub(crate) unknown: Vec<String>,
}

impl Pickle {
    /// Reads all of `bytes`: one pickle of protocol 2 to 5.
    ///
    /// # Errors
    ///
    /// [`Error::Pickle`] or [`Error::Dangerous`].
    pub(crate) fn read(bytes: &[u8]) -> Result<Pickle> {
        let fetched = Slots::fetched(bytes)?;
        let mut decoder = Decoder::new(bytes);
        let mut machine = Machine { fetched, ..Machine::default() };
        loop {
            match decoder.next()? {
                Instruction::Stop => break,
                instruction => machine.step(instruction, &decoder)?,
            }
        }
        if !decoder.at_end() {
            return Err(decoder.error("follows the end of the pickle"));
        }
        let (Some(root), true) = (machine.stack.pop(), machine.stack.is_empty() && machine.marks.is_empty())
        else {
            return Err(decoder.error("ends the pickle with other than one value"));
        };
        Ok(Pickle { root, shared: machine.shared, unknown: machine.unknown })
    }

    pub(crate) fn root(&self) -> &Value {
        self.resolved(&self.root)
    }

    /// What a value is, through sharing.
    pub(crate) fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        resolved(&self.shared, value)
    }

    /// Keys and values of a dictionary; `None` for anything else.
    pub(crate) fn pairs<'a>(
        &'a self,
        value: &'a Value,
    ) -> Option<impl Iterator<Item = (&'a Value, &'a Value)>> {
        let Value::Dict(node) = self.resolved(value) else { return None };
        let (pairs, _) = node.items.as_chunks::<2>();
        Some(pairs.iter().map(|[key, value]| (self.resolved(key), self.resolved(value))))
    }

    /// The value of a text key; Python's rule, the last of several, holds.
    pub(crate) fn get<'a>(&'a self, dict: &'a Value, name: &str) -> Option<&'a Value> {
        self.pairs(dict)?
            .filter(|(key, _)| matches!(key, Value::Text(text) if **text == *name))
            .last()
            .map(|p| p.1)
    }
}

fn resolved<'a>(shared: &'a [Value], value: &'a Value) -> &'a Value {
    match value {
        // A shared value is never itself shared: `put` sees to it.
        Value::Shared(index) => shared.get(*index as usize).unwrap_or(&Value::Opaque),
        value => value,
    }
}

/// A set of memo slots.
#[derive(Debug, Default)]
struct Slots(Vec<u64>);

impl Slots {
    /// The slots that any instruction reads.
    fn fetched(bytes: &[u8]) -> Result<Slots> {
        let mut slots = Slots::default();
        let mut decoder = Decoder::new(bytes);
        loop {
            match decoder.next()? {
                Instruction::Stop => return Ok(slots),
                Instruction::Get(slot) if slot >= SLOT_LIMIT => {
                    return Err(decoder.error("reads a memo slot beyond any checkpoint's"));
                }
                Instruction::Get(slot) => slots.insert(slot),
                _ => {}
            }
        }
    }

    fn insert(&mut self, slot: u32) {
        let word = slot as usize / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (slot % 64);
    }

    fn contains(&self, slot: u32) -> bool {
        self.0.get(slot as usize / 64).is_some_and(|word| word >> (slot % 64) & 1 == 1)
    }
}

#[derive(Debug, Default)]
struct Machine {
    stack: Vec<Value>,
    /// Heights of the stack.
    marks: Vec<usize>,
    shared: Vec<Value>,
    memo: HashMap<u32, u32>,
    /// How many values were put, for `MEMOIZE`.
    puts: u32,
    fetched: Slots,
    /// Sum of the weights of everything alive.
    weight: usize,
    unknown: Vec<String>,
}

impl Machine {
    fn step(&mut self, instruction: Instruction<'_>, at: &Decoder<'_>) -> Result<()> {
        match instruction {
            Instruction::Header | Instruction::Stop => Ok(()),
            Instruction::Mark => {
                self.marks.push(self.stack.len());
                self.grow(1, at)
            }
            Instruction::Unneeded => self.create(Value::Opaque, at),
            Instruction::Int(value) => self.create(Value::Int(value), at),
            Instruction::Text(text) => self.create(Value::Text(text.into()), at),
            Instruction::EmptyDict => self.create(Value::Dict(Box::new(EMPTY)), at),
            Instruction::EmptyList => self.create(Value::List(Box::new(EMPTY)), at),
            Instruction::EmptyTuple => self.create(Value::Tuple(Box::new(EMPTY)), at),
            Instruction::Tuple => {
                let items = self.pop_to_mark(at)?;
                self.tuple(items, at)
            }
            Instruction::TupleOf(count) => {
                let items = self.pop_many(count, at)?;
                self.tuple(items, at)
            }
            Instruction::Append => {
                let items = self.pop_many(1, at)?;
                self.extend(items, false, at)
            }
            Instruction::Appends => {
                let items = self.pop_to_mark(at)?;
                self.extend(items, false, at)
            }
            Instruction::SetItem => {
                let items = self.pop_many(2, at)?;
                self.extend(items, true, at)
            }
            Instruction::SetItems => {
                let items = self.pop_to_mark(at)?;
                self.extend(items, true, at)
            }
            Instruction::Global(module, name) => {
                let value = global(module, name, at, &mut self.unknown)?;
                self.create(value, at)
            }
            Instruction::StackGlobal => self.stack_global(at),
            Instruction::Reduce => self.reduce(at),
            Instruction::Build => self.build(at),
            Instruction::PersistentId => self.persistent(at),
            Instruction::Put(slot) => self.put(slot, at),
            Instruction::Memoize => self.put(self.puts, at),
            Instruction::Get(slot) => match self.memo.get(&slot) {
                Some(&index) => self.create(Value::Shared(index), at),
                None => Err(at.error("reads a memo slot that holds nothing")),
            },
        }
    }

    fn grow(&mut self, weight: usize, at: &Decoder<'_>) -> Result<()> {
        self.weight += weight;
        if self.weight > WEIGHT_LIMIT {
            return Err(at.error("brings more objects than any checkpoint holds"));
        }
        Ok(())
    }

    /// Pushes a value that did not exist before.
    fn create(&mut self, value: Value, at: &Decoder<'_>) -> Result<()> {
        self.grow(value.weight(), at)?;
        self.stack.push(value);
        Ok(())
    }

    /// Drops a value and gives its weight back.
    fn discard(&mut self, value: Value) {
        self.weight = self.weight.saturating_sub(value.weight());
    }

    fn pop_many(&mut self, count: usize, at: &Decoder<'_>) -> Result<Vec<Value>> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.len().checked_sub(count) {
            Some(start) if start >= floor => Ok(self.stack.split_off(start)),
            _ => Err(at.error("needs more values than there are")),
        }
    }

    fn pop(&mut self, at: &Decoder<'_>) -> Result<Value> {
        self.pop_many(1, at)?.pop().ok_or_else(|| at.error("needs a value"))
    }

    fn pop_to_mark(&mut self, at: &Decoder<'_>) -> Result<Vec<Value>> {
        let mark = self.marks.pop().ok_or_else(|| at.error("needs a mark"))?;
        self.weight = self.weight.saturating_sub(1);
        Ok(self.stack.split_off(mark))
    }

    fn top(&mut self, at: &Decoder<'_>) -> Result<&mut Value> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err(at.error("needs a value"));
        }
        match self.stack.last_mut() {
            Some(Value::Shared(index)) => self.shared.get_mut(*index as usize),
            top => top,
        }
        .ok_or_else(|| at.error("needs a value"))
    }

    fn tuple(&mut self, items: Vec<Value>, at: &Decoder<'_>) -> Result<()> {
        let mut node = Box::new(EMPTY);
        adopt(&mut node, items, at)?;
        // The items were counted when they were made.
        self.grow(4, at)?;
        self.stack.push(Value::Tuple(node));
        Ok(())
    }

    fn extend(&mut self, items: Vec<Value>, pairs: bool, at: &Decoder<'_>) -> Result<()> {
        match self.top(at)? {
            Value::List(node) if !pairs => adopt(node, items, at),
            Value::Dict(node) if pairs && items.len().is_multiple_of(2) => adopt(node, items, at),
            Value::Opaque => {
                items.into_iter().for_each(|item| self.discard(item));
                Ok(())
            }
            _ => Err(at.error("adds items to something that holds none")),
        }
    }

    fn put(&mut self, slot: u32, at: &Decoder<'_>) -> Result<()> {
        self.top(at)?;
        self.puts = self.puts.saturating_add(1);
        if !self.fetched.contains(slot) {
            return Ok(());
        }
        let Some(top) = self.stack.last_mut() else { return Ok(()) };
        let index = if let Value::Shared(index) = top {
            *index
        } else {
            let index = u32::try_from(self.shared.len()).map_err(|_| at.error("shares too many values"))?;
            self.shared.push(std::mem::replace(top, Value::Shared(index)));
            index
        };
        self.memo.insert(slot, index);
        // One for the entry of the memo, one for the reference: shared values live to the end.
        self.grow(2, at)
    }

    fn stack_global(&mut self, at: &Decoder<'_>) -> Result<()> {
        let (name, module) = (self.pop(at)?, self.pop(at)?);
        let value = match (resolved(&self.shared, &module), resolved(&self.shared, &name)) {
            (Value::Text(module), Value::Text(name)) => global(module, name, at, &mut self.unknown)?,
            _ => return Err(at.error("looks up a name that is not text")),
        };
        self.discard(name);
        self.discard(module);
        self.create(value, at)
    }

    fn reduce(&mut self, at: &Decoder<'_>) -> Result<()> {
        let arguments = self.pop(at)?;
        let function = self.pop(at)?;
        let Value::Tuple(node) = resolved(&self.shared, &arguments) else {
            return Err(at.error("calls with something other than a tuple"));
        };
        let items: Vec<&Value> =
            node.items.iter().take(RANK_LIMIT).map(|item| resolved(&self.shared, item)).collect();
        let value = match resolved(&self.shared, &function) {
            Value::Global(function) => applied(*function, &items, &self.shared, at)?,
            Value::Opaque => Value::Opaque,
            _ => return Err(at.error("calls something that is not a function")),
        };
        self.discard(arguments);
        self.discard(function);
        self.create(value, at)
    }

    fn build(&mut self, at: &Decoder<'_>) -> Result<()> {
        let state = self.pop(at)?;
        match self.top(at)? {
            // Attributes of a state dictionary (`_metadata`) and of what is skipped: not needed.
            Value::Dict(_) | Value::Opaque => {}
            _ => return Err(at.error("sets the state of something that has none")),
        }
        self.discard(state);
        Ok(())
    }

    fn persistent(&mut self, at: &Decoder<'_>) -> Result<()> {
        let id = self.pop(at)?;
        let Value::Tuple(node) = resolved(&self.shared, &id) else {
            return Err(at.error("names a storage by something other than a tuple"));
        };
        let items: Vec<&Value> =
            node.items.iter().take(RANK_LIMIT).map(|item| resolved(&self.shared, item)).collect();
        let storage = match items[..] {
            [
                Value::Text(kind),
                Value::Global(Global::Storage(scalar)),
                Value::Text(key),
                _,
                Value::Int(count),
            ] if **kind == *"storage" => {
                let key = storage_key(key).ok_or_else(|| at.error("names a storage that is not a number"))?;
                let count =
                    u64::try_from(*count).map_err(|_| at.error("gives a storage a negative length"))?;
                Value::Storage(Box::new(Storage { scalar: *scalar, key, count }))
            }
            // A storage of a type that weights never have.
            [Value::Text(kind), Value::Opaque, ..] if **kind == *"storage" => Value::Opaque,
            _ => return Err(at.error("names something that is not a storage")),
        };
        self.discard(id);
        self.create(storage, at)
    }
}

const EMPTY: Node = Node { items: Vec::new(), depth: 1, weight: 0 };

/// Moves `items` into a container.
fn adopt(node: &mut Node, items: Vec<Value>, at: &Decoder<'_>) -> Result<()> {
    for item in &items {
        node.depth = node.depth.max(1 + item.depth());
        node.weight += item.weight();
    }
    if node.depth > DEPTH_LIMIT {
        return Err(at.error("nests deeper than any checkpoint"));
    }
    if node.items.is_empty() {
        node.items = items
    } else {
        node.items.extend(items)
    }
    Ok(())
}

/// `"17"` -> 17; no sign, no leading zero, at most nine digits, so that one number has one name.
pub(crate) fn storage_key(text: &str) -> Option<u32> {
    let digits = (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits && (text == "0" || !text.starts_with('0')) { text.parse().ok() } else { None }
}

/// What the named function would give, worked out here for the few that data needs.
fn applied(function: Global, arguments: &[&Value], shared: &[Value], at: &Decoder<'_>) -> Result<Value> {
    let value = match (function, arguments) {
        (Global::OrderedDict, []) => Some(Value::Dict(Box::new(EMPTY))),
        (Global::RebuildTensor, [Value::Storage(storage), Value::Int(offset), shape, strides, ..]) => {
            tensor(**storage, *offset, shape, strides, shared)
        }
        // A tensor over a storage that was skipped.
        (Global::RebuildTensor | Global::RebuildParameter, [Value::Opaque, ..]) => Some(Value::Opaque),
        (Global::RebuildParameter, [Value::Tensor(tensor), ..]) => Some(Value::Tensor(tensor.clone())),
        (Global::Size, [Value::Tuple(_)]) => lengths(arguments[0], shared).map(|sizes| {
            let items: Vec<Value> = sizes.into_iter().map(|size| Value::Int(size.cast_signed())).collect();
            Value::Tuple(Box::new(Node { depth: 1, weight: items.len(), items }))
        }),
        _ => None,
    };
    value.ok_or_else(|| at.error("calls a known function with unknown arguments"))
}

fn tensor(storage: Storage, offset: i64, shape: &Value, strides: &Value, shared: &[Value]) -> Option<Value> {
    let offset = u64::try_from(offset).ok()?;
    let (shape, strides) = (lengths(shape, shared)?, lengths(strides, shared)?);
    (shape.len() == strides.len())
        .then(|| Value::Tensor(Box::new(Tensor { storage, offset, shape, strides })))
}

/// A tuple of at most eight integers that are not negative.
fn lengths(value: &Value, shared: &[Value]) -> Option<Vec<u64>> {
    let Value::Tuple(node) = value else { return None };
    if node.items.len() > RANK_LIMIT {
        return None;
    }
    let length = |item| match resolved(shared, item) {
        Value::Int(length) => u64::try_from(*length).ok(),
        _ => None,
    };
    node.items.iter().map(length).collect()
}

#[cfg(test)]
mod tests;
