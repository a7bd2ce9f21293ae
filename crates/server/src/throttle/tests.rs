use super::*;

const SECOND: Duration = Duration::from_secs(1);

struct World {
    throttle: LoginThrottle,
    settings: ThrottleSettings,
    api: ApiName,
}

impl World {
    fn new() -> Self {
        Self::with_capacity(CAPACITY)
    }

    fn with_capacity(capacity: usize) -> Self {
        Self {
            throttle: LoginThrottle::with_capacity(capacity),
            settings: ThrottleSettings::default(),
            api: "pay".parse().unwrap(),
        }
    }

    fn attempt(
        &self,
        login: &str,
        network: HostNetwork,
        network_is_known: bool,
        now: Timestamp,
    ) -> Result<AdmittedLogin<'_>, Duration> {
        let attempt = LoginAttempt {
            api: &self.api,
            login,
            network,
            network_is_known,
        };
        self.throttle.admit(&self.settings, &attempt, now)
    }

    /// A wrong secret from a network that is strange to the login.
    fn guess(&self, login: &str, network: HostNetwork, now: Timestamp) -> Result<(), Duration> {
        self.attempt(login, network, false, now).map(drop)
    }

    /// The partner logs in from home.
    fn owner(&self, login: &str, now: Timestamp) -> Result<(), Duration> {
        let admitted = self.attempt(login, home(), true, now)?;
        admitted.take_back(now);
        Ok(())
    }
}

fn home() -> HostNetwork {
    network(0x7f00_0001)
}

fn network(number: u32) -> HostNetwork {
    HostNetwork::containing(std::net::Ipv4Addr::from_bits(number).into())
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_800_000_000 + seconds)
}

#[test]
fn a_flood_from_a_thousand_networks_does_not_touch_the_owner() {
    let world = World::new();
    let mut guesses = Vec::new();
    for second in (0..2 * 3_600).step_by(15) {
        for number in 0..1_000 {
            let now = at(second) + Duration::from_micros(u64::from(number));
            if world.guess("partner", network(number), now).is_ok() {
                guesses.push(now);
            }
        }
        assert_eq!(world.owner("partner", at(second)), Ok(()));
    }
    for begin in &guesses {
        let hour = *begin..=*begin + HOUR;
        let admitted = guesses.iter().filter(|at| hour.contains(at)).count();
        assert!(admitted <= 100, "{admitted} in one hour");
    }
    assert_eq!(
        guesses.len(),
        20 + 2 * 80 - 1,
        "none fewer than there may be"
    );
}

#[test]
fn who_logs_in_often_and_rightly_is_never_refused() {
    let world = World::new();
    for number in 0..20_000 {
        assert_eq!(world.owner("partner", at(number / 1_000)), Ok(()));
        let elsewhere = world.attempt("partner", network(9), false, at(number / 1_000));
        elsewhere.unwrap().take_back(at(number / 1_000));
    }
}

#[test]
fn guesses_from_the_partner_s_own_network_are_bounded_too() {
    let world = World::new();
    let guess = |second| world.attempt("partner", home(), true, at(second)).is_ok();
    let tries = (0..600).flat_map(|second| (0..10).map(move |_| second));
    let admitted = tries.filter(|second| guess(*second)).count();
    assert_eq!(admitted, 64 + 599 / 2);
    assert!(world.owner("partner", at(599)).is_err());
    assert_eq!(world.owner("neighbour", at(599)), Ok(()));
}

#[test]
fn one_network_cannot_try_many_logins() {
    let world = World::new();
    let admitted = (0..10_000)
        .filter(|number| {
            let login = format!("made up {number}");
            world.guess(&login, network(7), at(0)).is_ok()
        })
        .count();
    assert_eq!(admitted, 300);
    assert!(world.guess("partner", network(8), at(0)).is_ok());
}

#[test]
fn variants_of_a_login_share_its_counters() {
    let world = World::new();
    let variants = ["partner", "PARTNER", " Partner", "ｐａｒｔｎｅｒ"];
    let admitted = (0..1_000)
        .filter(|number: &u32| {
            let login = variants[*number as usize % variants.len()];
            world.guess(login, network(*number), at(0)).is_ok()
        })
        .count();
    assert_eq!(admitted, 20);
}

#[test]
fn made_up_logins_free_no_counter_and_do_not_touch_who_is_known() {
    const CAPACITY: usize = 6_400;
    let world = World::with_capacity(CAPACITY);
    while world.guess("partner", network(1), at(0)).is_ok() {}
    let waits = |now| {
        let key = (&world.api, &LoginKey::normalize("partner"));
        let strange = RateLimit::within(world.settings.strange_logins_per_hour, HOUR);
        world.throttle.logins.check(&key, strange, now)
    };
    assert_eq!(waits(at(0)), Err(45 * SECOND));
    for number in 0..50_000 {
        let _flood = world.guess(&format!("made up {number}"), network(number), at(1));
        if number % 1_000 == 0 {
            assert_eq!(world.owner("somebody", at(1)), Ok(()));
        }
    }
    assert_eq!(waits(at(1)), Err(44 * SECOND), "the hot counter stands");
    assert!(world.guess("partner", network(3), at(1)).is_err());
    let throttle = &world.throttle;
    for counters in [&throttle.pairs, &throttle.networks, &throttle.logins] {
        assert!(counters.len() <= CAPACITY);
    }
}

#[test]
fn a_try_that_is_refused_counts_nowhere() {
    let world = World::new();
    while world.guess("partner", network(1), at(0)).is_ok() {}
    for _ in 0..1_000 {
        assert!(world.guess("partner", network(2), at(0)).is_err());
    }
    assert!(world.guess("other", network(2), at(0)).is_ok());
    let waits = world.guess("partner", network(2), at(0)).unwrap_err();
    assert_eq!(waits, 45 * SECOND);
}

#[test]
fn apis_count_for_themselves() {
    let world = World::new();
    while world.guess("partner", network(1), at(0)).is_ok() {}
    let other = World {
        api: "other".parse().unwrap(),
        ..world
    };
    assert!(other.guess("partner", network(2), at(0)).is_ok());
}

#[test]
fn what_a_vendor_lets_a_login_do_is_the_default_and_what_it_lets_an_address_do_is_not() {
    let preset = |text: &str| {
        let source = countersign_dialect::Dialect::shipped("b2binpay").unwrap();
        let source = source.replace("anonymous_per_minute = 15", text);
        let dialect = countersign_dialect::Dialect::compile(&source, "vendor").unwrap();
        ThrottleSettings::from_preset(dialect.preset())
    };
    assert_eq!(
        preset("anonymous_per_minute = 15"),
        ThrottleSettings::default()
    );
    let own = preset("logins_per_minute = 7");
    assert_eq!(own.logins_per_minute.get(), 7);
    assert_eq!(own.anonymous_per_minute, None);
}

#[test]
fn logins_of_an_address_count_as_the_vendor_counts_them() {
    let mut world = World::new();
    world.settings.anonymous_per_minute = NonZeroU32::new(15);
    let login = |address: &str, second| {
        let network = HostNetwork::containing(address.parse().unwrap());
        let (settings, api) = (&world.settings, &world.api);
        world
            .throttle
            .admit_anonymous(settings, api, network, at(second))
    };
    for _ in 0..15 {
        assert_eq!(login("192.0.2.1", 0), Ok(()));
    }
    for _ in 0..3 {
        assert_eq!(login("192.0.2.1", 0), Err(4 * SECOND));
    }
    assert_eq!(login("192.0.2.2", 0), Ok(()), "another address");
    for number in 1..=15 {
        assert_eq!(login(&format!("2001:db8::{number}"), 0), Ok(()));
    }
    assert!(login("2001:db8::99", 0).is_err(), "one IPv6 network");
    let minute_later = (0..20).filter(|_| login("192.0.2.1", 60).is_ok());
    assert_eq!(minute_later.count(), 15);
}

#[test]
fn an_api_that_says_nothing_counts_no_right_login() {
    let world = World::new();
    for _ in 0..1_000 {
        let (settings, api) = (&world.settings, &world.api);
        let counted = world.throttle.admit_anonymous(settings, api, home(), at(0));
        assert_eq!(counted, Ok(()));
    }
}
