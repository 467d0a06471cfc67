//! The columns of our own, by which dlt ties tables together (reference, section 9.4).

/// The id of a row, which a record may bring along.
pub const ROW_ID: &str = "_dlt_id";

/// A column of our own.
#[derive(Clone, Copy, PartialEq)]
pub enum System {
    /// The load that brought the row.
    LoadId,
    /// The row's id.
    Id,
    /// The id of the row that it is a child of.
    ParentId,
    /// Its place in the list, from 0.
    ListIdx,
    /// The id of the root row that it stems from.
    RootId,
}

impl System {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::LoadId, Self::Id, Self::ParentId, Self::ListIdx, Self::RootId];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::LoadId => "_dlt_load_id",
            Self::Id => ROW_ID,
            Self::ParentId => "_dlt_parent_id",
            Self::ListIdx => "_dlt_list_idx",
            Self::RootId => "_dlt_root_id",
        }
    }

    /// The one of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|system| system.name() == name)
    }
}
