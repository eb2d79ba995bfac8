use super::*;

const NOW: UnixMillis = UnixMillis(1_000_000);

fn leads(realm: u8) -> Leads {
    Leads::new(Realm([realm; 16]), Generation([0; 8]), 4096)
}

fn lead(number: u64) -> Lead {
    Lead {
        number: LeadNumber(number),
        worker: WorkerNumber(9),
        incarnation: Incarnation(77),
        until: UnixMillis(NOW.0 + 2000),
        followers: Followers::default(),
    }
}

fn tag(number: u8) -> Tag {
    Tag([number; 16])
}

#[test]
fn a_lead_is_found_by_what_it_is_about_and_nobody_else_finds_it() {
    let (one, other) = (leads(1), leads(2));
    let mut first = lead(1);
    for follower in [0, 7, 8, 255] {
        assert!(first.followers.insert(WorkerNumber(follower)));
        assert!(!first.followers.insert(WorkerNumber(follower)));
    }
    let set = one.put(tag(1), &first, &[], NOW).unwrap();
    let set = other.put(tag(1), &lead(2), &set, NOW).unwrap();
    assert_eq!(one.find(tag(1), &set, NOW), Some(first.clone()));
    assert_eq!(first.followers.iter().collect::<Vec<_>>(), [0, 7, 8, 255].map(WorkerNumber));
    assert_eq!(other.find(tag(1), &set, NOW), Some(lead(2)));
    assert_eq!(one.find(tag(2), &set, NOW), None);
    let newer = Leads::new(Realm([1; 16]), Generation([1; 8]), 4096);
    assert_eq!(newer.find(tag(1), &set, NOW), None);
}

#[test]
fn a_newer_lead_takes_the_place_of_the_one_about_the_same() {
    let leads = leads(1);
    let set = leads.put(tag(1), &lead(1), &[], NOW).unwrap();
    let set = leads.put(tag(1), &lead(2), &set, NOW).unwrap();
    assert_eq!(leads.find(tag(1), &set, NOW), Some(lead(2)));
    assert_eq!(leads.remove(tag(1), LeadNumber(1), &set, NOW), None);
    let (set, followers) = leads.remove(tag(1), LeadNumber(2), &set, NOW).unwrap();
    assert_eq!(followers, Followers::default());
    assert_eq!(leads.find(tag(1), &set, NOW), None);
}

#[test]
fn a_full_set_takes_no_more_until_something_in_it_is_over() {
    let leads = leads(1);
    let mut set = Vec::new();
    for number in 0..8 {
        set = leads.put(tag(number), &lead(number.into()), &set, NOW).unwrap();
    }
    assert_eq!(leads.put(tag(8), &lead(8), &set, NOW), None);
    assert!(leads.put(tag(3), &lead(9), &set, NOW).is_some());
    let later = NOW.after(Duration::from_secs(2));
    assert_eq!(leads.find(tag(3), &set, later), None);
    let of_later = Lead { until: later.after(Duration::from_secs(1)), ..lead(8) };
    let set = leads.put(tag(8), &of_later, &set, later).unwrap();
    assert_eq!(leads.find(tag(8), &set, later), Some(of_later));
    assert_eq!(set.len(), WAYS * BYTES);
}

#[test]
fn a_lead_that_would_last_for_ever_is_none() {
    let leads = leads(1);
    let endless = Lead { until: UnixMillis(u64::MAX), ..lead(1) };
    let set = leads.put(tag(1), &endless, &[], NOW).unwrap();
    assert_eq!(leads.find(tag(1), &set, NOW), None);
    assert!((0..8).try_fold(set, |set, number| leads.put(tag(number), &lead(1), &set, NOW)).is_some());
}

#[test]
fn foreign_values_read_as_empty_and_are_mended() {
    let leads = leads(1);
    for value in [vec![], vec![1; 7], vec![0xff; WAYS * BYTES], vec![1; WAYS * BYTES], vec![2; WAYS * BYTES + 1]] {
        assert_eq!(leads.find(tag(1), &value, NOW), None);
        let set = leads.put(tag(1), &lead(1), &value, NOW).unwrap();
        assert_eq!(set.len(), WAYS * BYTES);
        assert_eq!(leads.find(tag(1), &set, NOW), Some(lead(1)));
    }
    // Another layout, although everything else is as it should be.
    let mut set = leads.put(tag(1), &lead(1), &[], NOW).unwrap();
    set[0] = 2;
    assert_eq!(leads.find(tag(1), &set, NOW), None);
}

#[test]
fn set_names_are_few() {
    let leads = Leads::new(Realm([1; 16]), Generation([0; 8]), 16);
    let names: std::collections::BTreeSet<_> = (0..=255).map(|number| leads.set_of(tag(number))).collect();
    assert!(names.len() <= 4, "{names:?}");
}
