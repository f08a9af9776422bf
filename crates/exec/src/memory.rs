//! The four regions of memory and addresses in them.

/// The alignment of every slot, in bytes: what WebGPU asks of binding offsets, and a multiple of every vector.
pub const ALIGNMENT: usize = 256;

/// The next aligned offset.
pub const fn align(bytes: usize) -> usize {
    bytes.next_multiple_of(ALIGNMENT)
}

/// A region of memory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Region {
    /// Parameters, moments, running statistics; owned by the network, shared by all its programs.
    State,
    /// Everything between inputs and outputs.
    Workspace,
    /// The batch and the numbers of the step, written by the host.
    Batch,
    /// The named outputs, read by the host.
    Output,
}

/// A slot in a region.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Address {
    /// The region.
    pub region: Region,
    /// Where the slot starts, in bytes; a multiple of [`ALIGNMENT`].
    pub offset: usize,
    /// Its size, in bytes.
    pub bytes: usize,
}

impl Address {
    /// The first byte behind the slot.
    pub const fn end(&self) -> usize {
        self.offset + self.bytes
    }

    /// Whether two slots share a byte.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.region == other.region && self.offset < other.end() && other.offset < self.end()
    }
}

/// A buffer for each region.
#[derive(Clone, Debug)]
pub struct Memory<B> {
    /// See [`Region::State`].
    pub state: B,
    /// See [`Region::Workspace`].
    pub workspace: B,
    /// See [`Region::Batch`].
    pub batch: B,
    /// See [`Region::Output`].
    pub output: B,
}

impl<B> Memory<B> {
    /// The buffer of a region.
    pub const fn region(&self, region: Region) -> &B {
        match region {
            Region::State => &self.state,
            Region::Workspace => &self.workspace,
            Region::Batch => &self.batch,
            Region::Output => &self.output,
        }
    }
}
