//! What runs inside Redis, so that no other client comes between its steps.
//!
//! `KEYS[1]` is the record and `KEYS[2]` the claim on its lookup; both are in one slot of a cluster.

use ::redis::{Cmd, ErrorKind, FromRedisValue, RedisError, Script, ServerErrorKind, cmd};

use super::link::Link;

/// The scripts with their digests.
pub(super) struct Scripts {
    pub(super) look: Loaded,
    pub(super) release: Loaded,
    pub(super) write: Loaded,
}

/// A script that a server is given once and then called by its digest.
pub(super) struct Loaded {
    code: &'static str,
    script: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self { look: Loaded::new(LOOK), release: Loaded::new(RELEASE), write: Loaded::new(WRITE) }
    }
}

impl Loaded {
    fn new(code: &'static str) -> Self {
        Self { code, script: Script::new(code) }
    }

    /// Calls it. A server that has not seen it yet is sent the code: only that one, as each node of a cluster has its own.
    pub(super) async fn call<T: FromRedisValue>(
        &self,
        link: &mut Link,
        keys: &[&str],
        arguments: &[&str],
    ) -> Result<T, RedisError> {
        match link.ask(&call("EVALSHA", self.script.get_hash(), keys, arguments)).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                link.ask(&call("EVAL", self.code, keys, arguments)).await
            }
            result => result,
        }
    }
}

fn call(command: &str, script: &str, keys: &[&str], arguments: &[&str]) -> Cmd {
    let mut call = cmd(command);
    call.arg(script).arg(keys.len()).arg(keys).arg(arguments);
    call
}

/// The record, at most ARGV[1] bytes of it, with its time to live in the same moment; and whether its lookup is now that of
/// the ticket ARGV[2], for ARGV[3] milliseconds. It is claimed where there is no text, or with ARGV[4] `always`. A server
/// that cannot take the claim, as when its memory is full, holds nobody up.
const LOOK: &str = r"
local text = redis.pcall('GETRANGE', KEYS[1], 0, ARGV[1])
if type(text) ~= 'string' then text = '' end
local claimed = 0
if ARGV[4] == 'always' or text == '' then
    if redis.pcall('SET', KEYS[2], ARGV[2], 'NX', 'PX', ARGV[3]) then claimed = 1 end
end
return {text, redis.call('PTTL', KEYS[1]), claimed}
";

/// Gives back the claim of the ticket ARGV[1], and no other one.
const RELEASE: &str = r"
if redis.pcall('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
return 0
";

/// Gives back the claim of the ticket ARGV[1], and writes ARGV[2] for ARGV[3] milliseconds, unless a record is there that is
/// newer than ARGV[4], or as new and not a positive that a denial (ARGV[5] is 1) replaces. What is no record is overwritten.
/// A denial of somebody who was not let in before is written as ARGV[6] for ARGV[7] milliseconds instead.
const WRITE: &str = r"
if redis.pcall('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
local text, lives = ARGV[2], ARGV[3]
local was_let_in = false
local found = redis.pcall('GET', KEYS[1])
if type(found) == 'string' then
    local parsed, old = pcall(cjson.decode, found)
    if parsed and type(old) == 'table' and old.version == 1 and type(old.as_of_ms) == 'number' then
        local new = tonumber(ARGV[4])
        if old.as_of_ms > new then return 0 end
        if old.as_of_ms == new and (old.verdict == 'deny' or ARGV[5] == '0') then return 0 end
        was_let_in = old.verdict == 'allow' or old.hard_ms ~= old.fresh_ms
    end
end
if ARGV[5] == '1' and not was_let_in then text, lives = ARGV[6], ARGV[7] end
if tonumber(lives) > 0 then redis.call('SET', KEYS[1], text, 'PX', lives) end
return 1
";
