//! What has ended stays so, whatever begins anew; and a fresh proxy waits for the feed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use jwe_gate_test_harness::chain::Service;
use jwe_gate_test_harness::fleet::{Proxy, end_session, session, wait_until};
use jwe_gate_test_parts::fault_proxy::Mode;

use crate::{fleet, is_refused_in_time, is_well};

#[test]
fn what_has_ended_stays_so_after_each_part_and_all_of_them_have_begun_anew() {
    let (mut fleet, _app) = fleet(2);
    let phone = session("alice", "phone");
    fleet.admit(&phone);
    fleet.proxies[0].sign_out(&phone).unwrap();
    is_refused_in_time(&fleet, &phone, Instant::now());
    let never = |proxy: &Proxy| assert!(!proxy.in_a_row(&phone).contains(&200), "a session that has ended is let in");
    let others = session("bob", "other");

    fleet.redis.restart().unwrap();
    assert_eq!(fleet.redis.command(&["DBSIZE"]).unwrap(), "0");
    fleet.proxies.iter().for_each(never);

    for replica in 0..2 {
        fleet.services[replica].restart().unwrap();
        fleet.proxies.iter().for_each(never);
        // The one that has begun anew knows it, too, and says so to a proxy that knows nothing.
        fleet.services[1 - replica].kill();
        fleet.proxies[replica].restart().unwrap();
        wait_until("the fresh proxy to serve", || {
            never(&fleet.proxies[replica]);
            fleet.proxies[replica].in_a_row(&others) == [200]
        });
        fleet.services[1 - replica].restart().unwrap();
    }

    fleet.services.iter_mut().for_each(Service::kill);
    fleet.redis.restart().unwrap();
    fleet.postgres.restart().unwrap();
    fleet.services.iter_mut().for_each(|service| service.restart().unwrap());
    for proxy in &mut fleet.proxies {
        proxy.restart().unwrap();
    }
    wait_until("all proxies to serve", || {
        fleet.proxies.iter().for_each(never);
        fleet.proxies.iter().all(|proxy| proxy.in_a_row(&others) == [200])
    });
    assert!(fleet.proxies.iter().all(|proxy| proxy.in_a_row(&phone) == [401]));
    // And the feed goes on.
    let laptop = session("alice", "laptop");
    fleet.admit(&laptop);
    end_session(fleet.services[1].address(), "laptop").unwrap();
    is_refused_in_time(&fleet, &laptop, Instant::now());
    is_well(&fleet);
}

#[test]
fn a_fresh_proxy_admits_nobody_and_is_not_ready_until_it_has_read_the_feed() {
    let (mut fleet, _app) = fleet(1);
    let (phone, others) = (session("alice", "phone"), session("bob", "other"));
    assert_eq!(fleet.proxies[0].readiness(), [200]);
    end_session(fleet.services[0].address(), "phone").unwrap();
    fleet.proxies[0].links(Mode::Pause);
    fleet.proxies[0].restart().unwrap();
    let proxy = &fleet.proxies[0];
    assert_eq!(proxy.readiness(), [503]);
    // Each waits for a lookup, too, for as long as those may take.
    assert_eq!((proxy.status(&phone), proxy.status(&others)), (503, 503));
    assert_eq!(proxy.in_a_row("theme=dark"), [401]);

    let is_admitted = AtomicBool::new(false);
    thread::scope(|scope| {
        // From before it is ready until after, nobody sees the session that has ended pass.
        scope.spawn(|| {
            while !is_admitted.load(Ordering::Relaxed) {
                assert_ne!(proxy.status(&phone), 200);
            }
        });
        proxy.links(Mode::Pass);
        let ready = wait_until("the proxy to be ready", || proxy.readiness() == [200]);
        println!("ready {ready:?} after the lookup service could be reached");
        wait_until("others to be admitted", || proxy.in_a_row(&others) == [200]);
        is_admitted.store(true, Ordering::Relaxed);
    });
    assert_eq!(proxy.in_a_row(&phone), [401]);
    is_well(&fleet);
}
