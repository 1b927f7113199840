//! A disk in memory that breaks on purpose: fails, tears, fills up, and crashes with any part of what was not synced.
//!
//! The model of a crash: renames, creations and removals survive as a prefix in their order (a journaling file
//! system); of the unsynced writes of a file any subset of their 512-byte sectors survives. What was synced survives.
//! A crash of the process alone keeps everything, still unsynced.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::disk::{Disk, DiskFile};

/// What survives together when a write tears.
const SECTOR_BYTES: usize = 512;

/// What happens at a chosen operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails and changes nothing.
    Error(io::ErrorKind),
    /// A write leaves this many bytes and then fails; another operation just fails.
    Torn(usize),
    /// It and everything after it fails, as if the machine had stopped.
    Crash,
}

/// What a crash leaves of what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survivors {
    /// Nothing.
    None,
    /// Everything, as if it had been synced.
    All,
    /// Only the process dies: everything is there and still unsynced.
    Process,
    /// A choice that this seed makes.
    Seeded(u64),
}

/// A disk in memory that breaks on purpose. Clones are the same disk.
#[derive(Clone, Default)]
pub struct FaultyDisk {
    world: Arc<Mutex<World>>,
}

/// How often something went wrong, in all lives of a disk.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Damage {
    /// Writes that left a part of their bytes.
    pub torn: u64,
    /// Operations other than syncs of files that failed because they were told to.
    pub failed: u64,
    /// Syncs of files that failed because they were told to.
    pub syncs_failed: u64,
    /// Writes that found no room.
    pub full: u64,
    /// Crashes that took something that was not synced.
    pub lost: u64,
    /// Crashes that took a sector and left one that was written after it.
    pub reordered: u64,
}

#[derive(Default)]
struct World {
    damage: Damage,
    files: HashMap<u64, Content>,
    names: BTreeMap<String, u64>,
    /// The directory as it was last synced, and what was done to it since.
    synced_names: BTreeMap<String, u64>,
    unsynced_names: Vec<BTreeMap<String, u64>>,
    file_next: u64,
    operations: u64,
    faults: BTreeMap<u64, Fault>,
    capacity: Option<u64>,
    syncs_fail: bool,
    crashed: bool,
}

#[derive(Default, Clone)]
struct Content {
    current: Vec<u8>,
    synced: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Length(usize),
}

impl FaultyDisk {
    /// An empty disk without faults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What has gone wrong so far, also before earlier crashes.
    #[must_use]
    pub fn damage(&self) -> Damage {
        self.world().damage
    }

    /// How many changing operations there have been: the number of the next one.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.world().operations
    }

    /// Lets the changing operation with this number (from 0) go wrong.
    pub fn fail_at(&self, operation: u64, fault: Fault) {
        self.world().faults.insert(operation, fault);
    }

    /// Takes back what [`FaultyDisk::fail_at`] has in store for this operation.
    pub fn spare(&self, operation: u64) {
        self.world().faults.remove(&operation);
    }

    /// Bytes that all files together may have; `None`: no bound. Writing beyond is `StorageFull`.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.world().capacity = bytes;
    }

    /// Bytes that all files have together.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.world().used()
    }

    /// From now on every sync of a file fails.
    pub fn fail_syncs(&self, fail: bool) {
        self.world().syncs_fail = fail;
    }

    /// Stops the machine: every operation fails from now on.
    pub fn stop(&self) {
        self.world().crashed = true;
    }

    /// Will every operation, or every sync, fail until the machine starts anew?
    #[must_use]
    pub fn is_useless(&self) -> bool {
        let world = self.world();
        world.crashed || world.syncs_fail
    }

    /// The disk as it is after a crash at this moment, without faults. This one stops.
    #[must_use]
    pub fn crash(&self, survivors: Survivors) -> Self {
        let mut world = self.world();
        world.crashed = true;
        let mut after = world.copy();
        after.faults.clear();
        after.capacity = None;
        after.syncs_fail = false;
        after.crashed = false;
        if survivors != Survivors::Process {
            after.lose(survivors);
        }
        Self { world: Arc::new(Mutex::new(after)) }
    }

    /// The content of a file, unsynced writes included.
    #[must_use]
    pub fn content(&self, name: &str) -> Option<Vec<u8>> {
        let world = self.world();
        world.names.get(name).map(|id| world.files[id].current.clone())
    }

    /// Replaces the content of a file, synced: damage from outside.
    pub fn overwrite(&self, name: &str, bytes: Vec<u8>) {
        let mut world = self.world();
        if let Some(id) = world.names.get(name).copied() {
            world.files.insert(id, Content { current: bytes.clone(), synced: bytes, unsynced: Vec::new() });
        }
    }

    /// A disk of its own with the same content.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self { world: Arc::new(Mutex::new(self.world().copy())) }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    /// A copy without the files that only open handles of the original still reach.
    fn copy(&self) -> Self {
        let directories = self.unsynced_names.iter().chain([&self.names, &self.synced_names]);
        let named: BTreeSet<u64> = directories.flat_map(BTreeMap::values).copied().collect();
        let files = self.files.iter().filter(|(id, _)| named.contains(id));
        Self {
            damage: self.damage,
            files: files.map(|(id, content)| (*id, content.clone())).collect(),
            names: self.names.clone(),
            synced_names: self.synced_names.clone(),
            unsynced_names: self.unsynced_names.clone(),
            file_next: self.file_next,
            operations: self.operations,
            faults: self.faults.clone(),
            capacity: self.capacity,
            syncs_fail: self.syncs_fail,
            crashed: self.crashed,
        }
    }

    fn used(&self) -> u64 {
        self.names.values().map(|id| self.files[id].current.len() as u64).sum()
    }

    /// Counts a changing operation and says how it goes wrong, if it does.
    fn operation(&mut self) -> Result<Option<usize>, io::Error> {
        let number = self.operations;
        self.operations += 1;
        if self.crashed {
            return Err(stopped());
        }
        match self.faults.remove(&number) {
            None => Ok(None),
            Some(Fault::Error(kind)) => {
                self.damage.failed += 1;
                Err(io::Error::from(kind))
            }
            Some(Fault::Torn(bytes)) => Ok(Some(bytes)),
            Some(Fault::Crash) => {
                self.crashed = true;
                Err(stopped())
            }
        }
    }

    /// An operation that cannot be torn.
    fn whole_operation(&mut self) -> io::Result<()> {
        match self.operation()? {
            None => Ok(()),
            Some(_) => Err(io::Error::other("injected")),
        }
    }

    fn readable(&self) -> io::Result<()> {
        if self.crashed { Err(stopped()) } else { Ok(()) }
    }

    fn id(&self, name: &str) -> io::Result<u64> {
        self.names.get(name).copied().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn content(&mut self, id: u64) -> &mut Content {
        self.files.entry(id).or_default()
    }

    fn directory_changed(&mut self) {
        self.unsynced_names.push(self.names.clone());
    }

    fn write(&mut self, id: u64, offset: usize, bytes: &[u8]) -> io::Result<()> {
        let torn = self.operation()?;
        let written = torn.unwrap_or(bytes.len()).min(bytes.len());
        let content = self.content(id);
        let growth = (offset + written).saturating_sub(content.current.len()) as u64;
        if growth > 0 && self.capacity.is_some_and(|capacity| self.used() + growth > capacity) {
            self.damage.full += 1;
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.damage.torn += u64::from(written < bytes.len());
        let change = Change::Write { offset, bytes: bytes[..written].to_vec() };
        let content = self.content(id);
        change.apply(&mut content.current);
        content.unsynced.push(change);
        if torn.is_some() { Err(io::Error::other("injected: torn write")) } else { Ok(()) }
    }

    fn sync(&mut self, id: u64) -> io::Result<()> {
        let failed = self.damage.failed;
        if let Err(error) = self.whole_operation() {
            // What has just failed was a sync.
            self.damage.syncs_failed += self.damage.failed - failed;
            self.damage.failed = failed;
            return Err(error);
        }
        if self.syncs_fail {
            self.damage.syncs_failed += 1;
            return Err(io::Error::other("injected: failed sync"));
        }
        let content = self.content(id);
        for change in content.unsynced.drain(..) {
            change.apply(&mut content.synced);
        }
        Ok(())
    }

    /// Keeps what was synced and what the survivors say.
    fn lose(&mut self, survivors: Survivors) {
        let mut random = match survivors {
            Survivors::Seeded(seed) => Random::new(seed),
            _ => Random::new(0),
        };
        let directories = match survivors {
            Survivors::None => 0,
            Survivors::All | Survivors::Process => self.unsynced_names.len(),
            Survivors::Seeded(_) => random.below(self.unsynced_names.len() + 1),
        };
        if let Some(last) = directories.checked_sub(1) {
            self.synced_names = self.unsynced_names[last].clone();
        }
        self.names = self.synced_names.clone();
        self.unsynced_names.clear();
        let mut ids: Vec<u64> = self.files.keys().copied().collect();
        ids.sort_unstable();
        let (mut lost, mut reordered) = (false, false);
        for id in ids {
            let mut kept = Vec::new();
            self.content(id).lose(survivors, &mut random, &mut kept);
            lost |= kept.contains(&false);
            reordered |= kept.windows(2).any(|pair| pair == [false, true]);
        }
        self.damage.lost += u64::from(lost);
        self.damage.reordered += u64::from(reordered);
    }
}

impl Content {
    /// `kept` learns of each part that was not synced, in the order of writing, whether it survived.
    fn lose(&mut self, survivors: Survivors, random: &mut Random, kept: &mut Vec<bool>) {
        let mut after = std::mem::take(&mut self.synced);
        for change in self.unsynced.drain(..) {
            match survivors {
                Survivors::None => kept.push(false),
                Survivors::All | Survivors::Process => change.apply(&mut after),
                Survivors::Seeded(_) => change.apply_some(&mut after, random, kept),
            }
        }
        self.synced = after.clone();
        self.current = after;
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Length(len) => bytes.resize(*len, 0),
            Self::Write { offset, bytes: new } => put(bytes, *offset, new),
        }
    }

    /// Any subset of the sectors; often all or none, so that the plain cases come too.
    fn apply_some(&self, bytes: &mut Vec<u8>, random: &mut Random, kept: &mut Vec<bool>) {
        let Self::Write { offset, bytes: new } = self else {
            kept.push(random.below(2) == 0);
            if kept.last() == Some(&true) {
                self.apply(bytes);
            }
            return;
        };
        let keep_of_four = random.below(5);
        let mut at = 0;
        while at < new.len() {
            let sector_end = (offset + at + 1).next_multiple_of(SECTOR_BYTES) - offset;
            let end = sector_end.min(new.len());
            kept.push(random.below(4) < keep_of_four);
            if kept.last() == Some(&true) {
                put(bytes, offset + at, &new[at..end]);
            }
            at = end;
        }
    }
}

fn put(bytes: &mut Vec<u8>, offset: usize, new: &[u8]) {
    let end = offset + new.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(new);
}

fn stopped() -> io::Error {
    io::Error::other("injected: the machine has stopped")
}

impl Disk for FaultyDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let world = self.world();
        world.readable()?;
        Ok(world.names.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let world = self.world();
        world.readable()?;
        Ok(Arc::new(FaultyFile { id: world.id(name)?, disk: self.clone() }))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut world = self.world();
        world.whole_operation()?;
        let id = world.file_next;
        world.file_next += 1;
        world.files.insert(id, Content::default());
        world.names.insert(name.to_owned(), id);
        world.directory_changed();
        Ok(Arc::new(FaultyFile { id, disk: self.clone() }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut world = self.world();
        world.whole_operation()?;
        let id = world.id(from)?;
        world.names.remove(from);
        world.names.insert(to.to_owned(), id);
        world.directory_changed();
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut world = self.world();
        world.whole_operation()?;
        world.id(name)?;
        world.names.remove(name);
        world.directory_changed();
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut world = self.world();
        world.whole_operation()?;
        world.synced_names = world.names.clone();
        world.unsynced_names.clear();
        Ok(())
    }
}

struct FaultyFile {
    id: u64,
    disk: FaultyDisk,
}

impl DiskFile for FaultyFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let world = self.disk.world();
        world.readable()?;
        let offset = index(offset);
        let bytes = world.files[&self.id].current.get(offset..offset + buffer.len());
        buffer.copy_from_slice(bytes.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.world().write(self.id, index(offset), bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.world().sync(self.id)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut world = self.disk.world();
        world.whole_operation()?;
        let change = Change::Length(index(len));
        let content = world.content(self.id);
        change.apply(&mut content.current);
        content.unsynced.push(change);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        let world = self.disk.world();
        world.readable()?;
        Ok(world.files[&self.id].current.len() as u64)
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("files of tests fit into memory")
}

/// A small generator for tests: the same seed gives the same numbers everywhere (splitmix64).
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

impl Random {
    /// Starts from a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which must not be 0.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next_u64() % bound as u64).expect("below a usize")
    }
}
