//! Every statement on the tables of `migrations/connector`.

pub(super) const PUT_NODE: &str = "INSERT INTO node (id, url, name, address, alive_until) VALUES (?1, ?2, ?3, ?4, ?5) \
     ON CONFLICT (id) DO UPDATE SET url = ?2, name = ?3, alive_until = ?5";
pub(super) const PUT_DATA: &str = "INSERT INTO data_block (owner, name, block, commitment) VALUES (?1, ?2, ?3, ?4) \
     ON CONFLICT (owner, name, block) DO UPDATE SET commitment = ?4";
pub(super) const DROP_NODE: &str = "DELETE FROM node WHERE id = ?1";
pub(super) const DROP_DATA: &str = "DELETE FROM data_block WHERE owner = ?1";
pub(super) const ADD_TASK: &str = "INSERT INTO task (id, kind, task_id, owner, dataset, commitment, task_type, enable_verify, tolerance, touched) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
pub(super) const TOUCH_TASK: &str = "UPDATE task SET touched = max(touched, ?1) WHERE id = ?2";
/// A task with everything below it, from the leaves up; `?1` is the task.
pub(super) const DROP_BELOW_TASK: [&str; 4] = [
    "DELETE FROM upload WHERE round IN (SELECT id FROM round WHERE task = ?1)",
    "DELETE FROM member WHERE round IN (SELECT id FROM round WHERE task = ?1)",
    "DELETE FROM round WHERE task = ?1",
    "DELETE FROM proof WHERE task = ?1",
];
pub(super) const DROP_TASK: &str = "DELETE FROM task WHERE id = ?1";
pub(super) const FINISH_TASK: &str = "UPDATE task SET finished = 1 WHERE id = ?1";
pub(super) const CONFIRM_TASK: &str = "UPDATE task SET confirmed = 1 WHERE id = ?1";
pub(super) const ADD_ROUND: &str =
    "INSERT INTO round (id, task, number, weight_commitment) VALUES (?1, ?2, ?3, ?4)";
pub(super) const MOVE_ROUND: &str = "UPDATE round SET status = ?1 WHERE id = ?2";
pub(super) const MOVE_MEMBERS: &str =
    "UPDATE member SET status = ?1 WHERE round = ?2 AND place IN (SELECT value FROM json_each(?3))";
pub(super) const ADD_MEMBER: &str = "INSERT INTO member (round, place, address, status, pk1, pk2) \
     VALUES (?1, (SELECT coalesce(max(place) + 1, 0) FROM member WHERE round = ?1), ?2, ?3, ?4, ?5)";
pub(super) const PUT_RESULT: &str = "UPDATE member SET result = ?1 WHERE round = ?2 AND place = ?3";
pub(super) const ADD_UPLOAD: &str =
    "INSERT INTO upload (round, kind, member, entries) VALUES (?1, ?2, ?3, ?4)";
pub(super) const PUT_PROOF: &str = "INSERT INTO proof (task, member, valid) VALUES (?1, ?2, ?3)";

pub(super) const NODES: &str = "SELECT id, url, name, address, alive_until FROM node ORDER BY id";
pub(super) const DATA: &str = "SELECT owner, name, block, commitment FROM data_block";
pub(super) const TASKS: &str = "SELECT id, kind, task_id, owner, dataset, commitment, task_type, enable_verify, tolerance, finished, confirmed, touched \
     FROM task ORDER BY id";
pub(super) const PROOFS: &str = "SELECT task, member, valid FROM proof";
pub(super) const ROUNDS: &str =
    "SELECT id, task, number, status, weight_commitment FROM round ORDER BY id";
pub(super) const MEMBERS: &str =
    "SELECT place, address, status, pk1, pk2, result FROM member WHERE round = ?1 ORDER BY place";
pub(super) const UPLOADS: &str =
    "SELECT kind, member, entries FROM upload WHERE round = ?1 ORDER BY id";
