//! A vendor, a client and their clocks, played through: what the machine does
//! over many lives and after any accident.

mod accidents;
mod lives;

use super::*;

/// How the vendor tells when an access token ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tells {
    /// An end and its now, to the microsecond.
    Now,
    /// An end, and the second in `Date`.
    Date,
    /// The token's own `iat` and `exp`.
    Jwt,
    /// A life, beside the token's own `exp` and a `Date`.
    Life,
}

const TELLS: [Tells; 4] = [Tells::Now, Tells::Date, Tells::Jwt, Tells::Life];

/// A vendor with one account. Refresh tokens rotate; the one before is forgiven
/// for a minute and gets the same answer, and after that it ends the session.
#[derive(Clone, Debug)]
struct Vendor {
    life: Duration,
    tells: Tells,
    /// By how much its clock is ahead at the start, and goes ahead more.
    ahead: Duration,
    drifts_ppm: u32,
    session: u32,
    generation: u32,
    rotated_at: Timestamp,
    dead: bool,
    logins: u32,
    refreshes: u32,
    thefts: u32,
    /// What is refreshed is the access token, once, while it lives.
    by_access: bool,
}

impl Vendor {
    fn new(life: Duration, tells: Tells) -> Self {
        Self {
            life,
            tells,
            ahead: Duration::ZERO,
            drifts_ppm: 0,
            session: 0,
            generation: 0,
            rotated_at: START,
            dead: true,
            logins: 0,
            refreshes: 0,
            thefts: 0,
            by_access: false,
        }
    }

    fn login(&mut self, now: Timestamp) -> GrantedTokens {
        self.logins += 1;
        self.session += 1;
        self.generation = 1;
        self.rotated_at = now;
        self.dead = false;
        self.grant(now)
    }

    fn refresh(&mut self, presented: &str, now: Timestamp) -> Result<GrantedTokens, RefusedBy> {
        let of = |generation: u32| format!("refresh {} {generation}", self.session);
        let forgiven = now.since(self.rotated_at) <= secs(60);
        if self.dead || !presented.starts_with(&format!("refresh {} ", self.session)) {
            return Err(no(Refusal::BadRefresh));
        }
        if presented == of(self.generation) {
            self.generation += 1;
            self.rotated_at = now;
            self.refreshes += 1;
        } else if !(forgiven && presented == of(self.generation - 1)) {
            self.dead = true;
            self.thefts += 1;
            return Err(no(Refusal::BadRefresh));
        }
        Ok(self.grant(now))
    }

    fn refresh_access(
        &mut self,
        presented: &Secret,
        now: Timestamp,
    ) -> Result<GrantedTokens, RefusedBy> {
        if self.dead || !self.accepts(presented, now) {
            return Err(no(Refusal::BadRefresh));
        }
        self.refreshes += 1;
        Ok(self.grant(now))
    }

    fn clock(&self, now: Timestamp) -> Timestamp {
        now + self.ahead + now.since(START) / 1_000_000 * self.drifts_ppm
    }

    /// The end stands in the token, so that any of them can be judged.
    fn grant(&self, now: Timestamp) -> GrantedTokens {
        let clock = self.clock(now);
        let end = clock + self.life;
        let exp = end.floor_to_second();
        let second = clock.floor_to_second();
        let tells = self.tells;
        GrantedTokens {
            access_token: format!("access {}", exp.as_seconds()).into(),
            refresh_token: (!self.by_access)
                .then(|| format!("refresh {} {}", self.session, self.generation).into()),
            access_expires_at: if tells == Tells::Jwt { exp } else { end },
            refresh_expires_at: None,
            access_life: (tells == Tells::Life).then_some(self.life),
            now: (tells == Tells::Now).then_some(clock),
            date: matches!(tells, Tells::Date | Tells::Life).then_some(second),
            iat: (tells == Tells::Jwt).then_some(second),
            exp: matches!(tells, Tells::Jwt | Tells::Life).then_some(exp),
            ..pair("", now)
        }
    }

    fn accepts(&self, access_token: &Secret, now: Timestamp) -> bool {
        let exp = access_token.expose().trim_start_matches("access ");
        self.clock(now) < Timestamp::from_seconds(exp.parse().unwrap())
    }

    fn answer(
        &mut self,
        story: &Story,
        ask: RenewalKind,
        now: Timestamp,
    ) -> Result<GrantedTokens, RefusedBy> {
        match ask {
            RenewalKind::Login => Ok(self.login(now)),
            RenewalKind::Refresh => {
                let presented = story.tokens().refresh_token.clone().unwrap();
                match self.by_access {
                    true => self.refresh_access(&presented, now),
                    false => self.refresh(presented.expose(), now),
                }
            }
        }
    }
}

impl Story {
    /// Sends what the machine asks for, and hears the answer; both are under way
    /// for a while.
    fn exchange(&mut self, vendor: &mut Vendor, ask: RenewalKind, there: Duration, back: Duration) {
        self.session.begin_request(ask, self.now);
        self.written().later(there);
        let answer = vendor.answer(self, ask, self.now);
        self.later(back);
        match answer {
            Ok(granted) => self.session.received(granted, self.now),
            Err(by) => self.session.refused(&by, self.now),
        }
    }
}
