//! Reads a bbolt database: the file in which the reference agent keeps its state (spec 20 §9.1).
//!
//! A reader only, over the whole file in memory, and a distrustful one: pages other than the two meta pages
//! carry no checksum, so every number is checked before it is believed, no page is visited twice, and what
//! does not fit is an error rather than a guess. What rows mean is not known here.

mod meta;
mod page;

use std::collections::BTreeSet;

use meta::Meta;
use page::{Element, Page};

/// Trees of real files are three or four pages high.
const MOST_LEVELS: usize = 24;

/// Why a file is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BboltError {
    /// Nothing in it looks like bbolt's meta pages.
    #[error("it is no bbolt database")]
    Foreign,
    #[error("it is a bbolt database of format version {0}, of which only version 2 is known")]
    Version(u32),
    #[error("it is a damaged bbolt database: {0}")]
    Damaged(String),
}

fn damaged(what: impl Into<String>) -> BboltError {
    BboltError::Damaged(what.into())
}

/// The most bytes that [`latest_txid`] looks at: both meta pages at the largest page size.
pub const HEAD_BYTES: usize = 65_536 + 128;

/// The transaction id of the newest valid meta page, from the first [`HEAD_BYTES`] of a file.
///
/// # Errors
/// No valid meta page.
pub fn latest_txid(head: &[u8]) -> Result<u64, BboltError> {
    meta::newest(head).map(|meta| meta.txid)
}

/// A database as its newest valid meta page describes it.
#[derive(Clone)]
pub struct Database<'a> {
    bytes: &'a [u8],
    meta: Meta,
}

/// A key and its value.
pub type Row<'a> = (&'a [u8], &'a [u8]);

impl std::fmt::Debug for Database<'_> {
    /// Without the bytes: rows hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("meta", &self.meta).finish_non_exhaustive()
    }
}

impl<'a> Database<'a> {
    /// Chooses the meta page. Trees are read, and found damaged, only when a bucket is asked for.
    ///
    /// # Errors
    /// No valid meta page, or a file that ends before its last page.
    pub fn open(bytes: &'a [u8]) -> Result<Self, BboltError> {
        let meta = meta::newest(bytes)?;
        let pages = bytes.len() as u64 / u64::from(meta.page_size);
        if meta.high_water > pages {
            return Err(damaged(format!("it should have {} pages and has {pages}", meta.high_water)));
        }
        Ok(Self { bytes, meta })
    }

    /// The transaction that the chosen meta page was written by; each commit has a higher one.
    pub const fn txid(&self) -> u64 {
        self.meta.txid
    }

    /// The names of the buckets at the top, in order.
    ///
    /// # Errors
    /// The tree is damaged.
    pub fn buckets(&self) -> Result<Vec<&'a [u8]>, BboltError> {
        Ok(self.tree(self.meta.root)?.into_iter().filter(|e| e.is_bucket).map(|e| e.key).collect())
    }

    /// The rows of a bucket at the top, ordered by key; `None` where there is no such bucket. Buckets within
    /// it are left out.
    ///
    /// # Errors
    /// The tree is damaged.
    pub fn rows(&self, bucket: &str) -> Result<Option<Vec<Row<'a>>>, BboltError> {
        let top = self.tree(self.meta.root)?;
        let Some(found) = top.into_iter().find(|e| e.is_bucket && e.key == bucket.as_bytes()) else { return Ok(None) };
        let (head, inline) = found
            .value
            .split_at_checked(16)
            .ok_or_else(|| damaged(format!("bucket {bucket} has a head of {} bytes", found.value.len())))?;
        let elements = match page::u64_at(head, 0) {
            Some(0) => {
                let page = Page::parse(inline, None).map_err(|cause| damaged(format!("bucket {bucket}: {cause}")))?;
                let mut elements = Vec::new();
                page.leaf_elements(&mut elements).map_err(|cause| damaged(format!("bucket {bucket}: {cause}")))?;
                in_order(&elements)?;
                elements
            }
            Some(root) => self.tree(root)?,
            None => return Err(damaged(format!("bucket {bucket} has no root"))),
        };
        Ok(Some(elements.into_iter().filter(|e| !e.is_bucket).map(|e| (e.key, e.value)).collect()))
    }

    /// All elements of the tree below a page.
    fn tree(&self, root: u64) -> Result<Vec<Element<'a>>, BboltError> {
        let mut elements = Vec::new();
        let mut visited = BTreeSet::new();
        // Pages still to visit, the next one last.
        let mut ahead = vec![(root, 0)];
        while let Some((id, level)) = ahead.pop() {
            if !visited.insert(id) {
                return Err(damaged(format!("page {id} is reached twice")));
            }
            if level > MOST_LEVELS {
                return Err(damaged(format!("page {id} is more than {MOST_LEVELS} levels down")));
            }
            let page = self.page(id)?;
            let wrong = |cause: String| damaged(format!("page {id}: {cause}"));
            if page.is_leaf() {
                page.leaf_elements(&mut elements).map_err(wrong)?;
            } else {
                let below = page.branch_pages().map_err(wrong)?;
                ahead.extend(below.into_iter().rev().map(|page| (page, level + 1)));
            }
        }
        in_order(&elements)?;
        Ok(elements)
    }

    fn page(&self, id: u64) -> Result<Page<'a>, BboltError> {
        if id < 2 || id >= self.meta.high_water {
            return Err(damaged(format!("page {id} is none of its {} pages", self.meta.high_water)));
        }
        let size = u64::from(self.meta.page_size);
        // Invariant: `open` saw that all pages below the high-water mark are in the file, so these fit usize.
        let start = (id * size) as usize;
        let rest = self.bytes.get(start..).unwrap_or_default();
        let wrong = |cause: String| damaged(format!("page {id}: {cause}"));
        let overflow = page::overflow(rest).ok_or_else(|| wrong("it has no head".to_owned()))?;
        let end = id + 1 + u64::from(overflow);
        if end > self.meta.high_water {
            return Err(wrong(format!("it claims {overflow} further pages")));
        }
        let length = ((end - id) * size) as usize;
        Page::parse(rest.get(..length).unwrap_or_default(), Some(id)).map_err(wrong)
    }
}

/// Keys ascend throughout a tree; damage seldom respects that.
fn in_order(elements: &[Element<'_>]) -> Result<(), BboltError> {
    match elements.windows(2).find(|pair| pair[0].key >= pair[1].key) {
        Some(pair) => Err(damaged(format!("key {:?} is out of order", String::from_utf8_lossy(pair[1].key)))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
