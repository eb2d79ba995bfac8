//! A proxy that is cut off from the lookup service.

use std::time::Instant;

use jwe_gate_test_harness::fleet::{Plan, end_session, session, wait_until};
use jwe_gate_test_parts::fault_proxy::Mode;
use jwe_gate_test_parts::streaming::Streaming;
use serde_json::json;

use crate::{is_refused_in_time, is_well, plan};

#[test]
fn a_proxy_that_is_cut_off_does_as_it_is_told_and_recovers_alone() {
    let app = Streaming::start().unwrap();
    let how = |policy: &str| json!({ "poll_ms": 200, "max_feed_age_seconds": 2, "on_stale_feed": policy });
    let plan = Plan { proxies: vec![how("deny"), how("serve"), how("deny")], ..plan(0) };
    let fleet = plan.start(app.address()).unwrap();
    let [deny, serve, connected] = &fleet.proxies[..] else { unreachable!("three proxies") };
    let (before, others) = (session("alice", "before"), session("bob", "other"));
    for cookie in [&before, &others] {
        fleet.admit(cookie);
    }
    deny.sign_out(&before).unwrap();
    is_refused_in_time(&fleet, &before, Instant::now());

    // Silence is worse than a refusal: nobody is told that anything is wrong.
    for mode in [Mode::Pause, Mode::Reset] {
        let sid = format!("{mode:?}");
        let during = session("alice", &sid);
        fleet.admit(&during);
        deny.links(mode);
        serve.links(mode);
        wait_until("the proxy to know that it knows too little", || deny.in_a_row(&others) == [503]);
        end_session(fleet.services[0].address(), &sid).unwrap();
        wait_until("the proxy that is not cut off to hear of it", || connected.in_a_row(&during) == [401]);
        assert_eq!((deny.in_a_row(&during), deny.readiness()), (vec![503], vec![503]));
        // This one was told to rather let those pass of whom it does not know.
        assert_eq!((serve.in_a_row(&others), serve.in_a_row(&during)), (vec![200], vec![200]));
        assert_eq!(serve.readiness(), [200]);
        // What they knew before they do not forget.
        assert_eq!((deny.in_a_row(&before), serve.in_a_row(&before)), (vec![401], vec![401]));

        let begun = Instant::now();
        deny.links(Mode::Pass);
        serve.links(Mode::Pass);
        wait_until("both to refuse what ended meanwhile", || {
            assert!(!deny.in_a_row(&during).contains(&200), "let in by a proxy that was told to deny");
            [deny, serve].iter().all(|proxy| proxy.in_a_row(&during) == [401])
        });
        println!("{mode:?}: what ended meanwhile is refused {:?} after the partition", begun.elapsed());
        wait_until("others to be admitted", || deny.in_a_row(&others) == [200] && deny.readiness() == [200]);
        println!("{mode:?}: others are admitted {:?} after the partition", begun.elapsed());
    }
    is_well(&fleet);
}
