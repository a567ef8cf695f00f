//! `identity.Identity`: who is on the network (docs/protocol/connector.md, Identity).

use tonic::Status;

use super::{Reply, read, reply, rpc};
use crate::pb::identity::{
    JoinReq, JoinResp, LeaveReq, NodeInfo, NodeInfoReq, NodeInfos, NodeInfosReq, UpdateNameReq,
    UpdateUrlReq,
};
use crate::pb::transaction::Transaction;
use delta_domain::connector_record::{Answer, Command, NodeEntry};
use delta_ports::connector::Receipt;

rpc! {
    Join: JoinReq { url, name } = Join { url, name } => JoinResp;
    UpdateUrl: UpdateUrlReq { address, url } = UpdateUrl { address, url } => Transaction;
    UpdateName: UpdateNameReq { address, name } = UpdateName { address, name } => Transaction;
    Leave: LeaveReq { address } = Leave { address } => Transaction;
    GetNodeInfo: NodeInfoReq { address } = Node { address } => NodeInfo;
    GetNodes: NodeInfosReq { page, page_size } = Nodes { page, page_size } => NodeInfos;
}

reply! {
    JoinResp { tx_hash, address } = Receipt { tx_hash, answer: Answer::Joined(address) };
    NodeInfo { url, name, address } = Answer::Node(NodeEntry { url, name, address });
}

impl Reply for NodeInfos {
    fn receipt(self) -> Result<Receipt, Status> {
        let nodes = self.nodes.into_iter().map(|node| NodeEntry {
            url: node.url,
            name: node.name,
            address: node.address,
        });
        Ok(read(Answer::Nodes(nodes.collect(), self.total_count)))
    }

    fn of(receipt: Receipt) -> Option<Self> {
        let Answer::Nodes(nodes, total_count) = receipt.answer else {
            return None;
        };
        let nodes = nodes.into_iter().map(|node| NodeInfo {
            url: node.url,
            name: node.name,
            address: node.address,
        });
        Some(Self {
            nodes: nodes.collect(),
            total_count,
        })
    }
}
