//! Makes faults happen in a chain, and ends them.

use anyhow::Result;
use jwe_gate_test_parts::fault_proxy::{FaultProxy, Mode};

use super::{Fault, Part};
use crate::chain::Chain;

/// Lets `part` fail. The chain was planned with links, and nothing else fails in it that this needs.
///
/// # Errors
/// When a server that is to be started again does not start.
pub fn fail(chain: &mut Chain, part: Part, fault: Fault) -> Result<()> {
    match fault {
        Fault::Killed => {
            kill(chain, part);
            link(chain, part).set(Mode::Refuse);
        }
        Fault::Paused => pause(chain, part)?,
        Fault::Slow => link(chain, part).set(Mode::Slow(super::DELAY)),
        Fault::Garbage => link(chain, part).set(Mode::Garbage),
        Fault::Reset => link(chain, part).set(Mode::Reset),
        Fault::RestartedEmpty => {
            if part == Part::Postgres {
                chain.sql("TRUNCATE users CASCADE");
            }
            match part {
                Part::Replica => chain.service.restart()?,
                _ => start(chain, part)?,
            }
        }
    }
    Ok(())
}

/// Ends a fault. What had failed may need a moment more.
///
/// # Errors
/// When a server that was killed does not start again.
pub fn mend(chain: &mut Chain, part: Part, fault: Fault) -> Result<()> {
    match fault {
        Fault::Killed => start(chain, part)?,
        Fault::Paused => resume(chain, part)?,
        Fault::RestartedEmpty if part == Part::Postgres => chain.add_users(),
        _ => {}
    }
    link(chain, part).set(Mode::Pass);
    Ok(())
}

fn link(chain: &Chain, part: Part) -> &FaultProxy {
    match part {
        Part::ClusterNode | Part::Redis => &chain.links.redis,
        Part::Postgres => &chain.links.postgres,
        Part::Replica => &chain.links.service,
    }
}

fn kill(chain: &mut Chain, part: Part) {
    match part {
        Part::ClusterNode | Part::Redis => chain.redis.node_mut().kill(),
        Part::Postgres => chain.postgres.kill(),
        Part::Replica => chain.service.kill(),
    }
}

fn pause(chain: &Chain, part: Part) -> Result<()> {
    match part {
        Part::ClusterNode | Part::Redis => chain.redis.node().pause(),
        Part::Postgres => chain.postgres.pause(),
        Part::Replica => chain.service.pause(),
    }
}

fn resume(chain: &Chain, part: Part) -> Result<()> {
    match part {
        Part::ClusterNode | Part::Redis => chain.redis.node().resume(),
        Part::Postgres => chain.postgres.resume(),
        Part::Replica => chain.service.resume(),
    }
}

fn start(chain: &mut Chain, part: Part) -> Result<()> {
    match part {
        Part::ClusterNode | Part::Redis => chain.redis.restart(&chain.links.redis),
        Part::Postgres => chain.postgres.restart(),
        // Not until it is ready: that takes a database, and Envoy watches for itself.
        Part::Replica => chain.service.launch(),
    }
}
