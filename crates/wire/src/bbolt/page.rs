//! One page, or a run of pages that is read as one: its head and its elements.

const HEAD: usize = 16;
const ELEMENT: usize = 16;
const BRANCH: u16 = 1;
const LEAF: u16 = 2;
/// A leaf element's flag: the value is a bucket.
const BUCKET: u32 = 1;

/// A leaf's element.
#[derive(Clone, Copy)]
pub(super) struct Element<'a> {
    pub is_bucket: bool,
    pub key: &'a [u8],
    pub value: &'a [u8],
}

/// A branch or a leaf with all its bytes.
pub(super) struct Page<'a> {
    bytes: &'a [u8],
    flags: u16,
    count: usize,
}

impl<'a> Page<'a> {
    /// Reads the head. `id` is what the page must call itself; a page within a value has no number of its own.
    pub(super) fn parse(bytes: &'a [u8], id: Option<u64>) -> Result<Self, String> {
        let head = || Some((u64_at(bytes, 0)?, u16_at(bytes, 8)?, u16_at(bytes, 10)?));
        let (own_id, flags, count) = head().ok_or("it has no head")?;
        if let Some(id) = id
            && own_id != id
        {
            return Err(format!("it calls itself page {own_id}"));
        }
        let may_branch = id.is_some();
        if flags != LEAF && !(may_branch && flags == BRANCH) {
            return Err(format!("it is of kind {flags:#x}, where rows should be"));
        }
        let count = usize::from(count);
        if HEAD + count * ELEMENT > bytes.len() {
            return Err(format!("it claims {count} elements in {} bytes", bytes.len()));
        }
        Ok(Self { bytes, flags, count })
    }

    pub(super) const fn is_leaf(&self) -> bool {
        self.flags == LEAF
    }

    /// Appends the elements of a leaf.
    pub(super) fn leaf_elements(&self, all: &mut Vec<Element<'a>>) -> Result<(), String> {
        for index in 0..self.count {
            let element = self.element(index).ok_or_else(|| lost(index))?;
            let fields = || Some((u32_at(element, 0)?, u32_at(element, 4)?, u32_at(element, 8)?, u32_at(element, 12)?));
            let (flags, position, key_size, value_size) = fields().ok_or_else(|| lost(index))?;
            let position = position as usize;
            // Within the elements there is room for no value.
            if index * ELEMENT + position < self.count * ELEMENT {
                return Err(format!("element {index} lies upon the others"));
            }
            let key = piece(element, position, key_size as usize).ok_or_else(|| lost(index))?;
            let value = piece(element, position + key_size as usize, value_size as usize).ok_or_else(|| lost(index))?;
            all.push(Element { is_bucket: flags & BUCKET != 0, key, value });
        }
        Ok(())
    }

    /// The pages below a branch, in order.
    pub(super) fn branch_pages(&self) -> Result<Vec<u64>, String> {
        if self.count == 0 {
            return Err("it is a branch to nowhere".to_owned());
        }
        (0..self.count).map(|index| u64_at(self.element(index)?, 8)).collect::<Option<_>>().ok_or_else(|| lost(0))
    }

    /// From an element's head to the end of the page: positions count from there.
    fn element(&self, index: usize) -> Option<&'a [u8]> {
        self.bytes.get(HEAD + index * ELEMENT..)
    }
}

fn lost(index: usize) -> String {
    format!("element {index} reaches beyond it")
}

/// How many further pages belong to the page that begins here.
pub(super) fn overflow(page: &[u8]) -> Option<u32> {
    u32_at(page, 12)
}

fn piece(bytes: &[u8], start: usize, length: usize) -> Option<&[u8]> {
    bytes.get(start..start.checked_add(length)?)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}
