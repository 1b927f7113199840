//! Messages to partitions of other nodes.

use protocol::PartitionId;
use protocol::message::Message;

/// Carries messages between nodes: those of one pair of partitions in order, for as long as both nodes live. A message
/// is handed over only when what it rests on is durable, since another node is another durability domain.
pub trait Network: Send + Sync {
    /// Sends without waiting.
    fn send(&self, from: PartitionId, to: PartitionId, message: Message);
}

/// There is one node only.
pub(crate) struct OneNode;

impl Network for OneNode {
    fn send(&self, from: PartitionId, to: PartitionId, _: Message) {
        unreachable!("partition {from} speaks to partition {to}, but this node has all partitions");
    }
}
