//! Explanations in plain words, for people. The server decides what is in them; this only lays
//! them out.

use countersign_check::printable;
use serde_json::Value;

use crate::table::Table;
use crate::text::to_second;

/// One refusal.
pub(super) fn refusal(refusal: &Value) -> String {
    let mut table = Table::headless();
    let mut row = |name: &str, value: String| {
        if !value.is_empty() {
            table.row([name, &value]);
        }
    };
    row(
        "refused",
        format!("{} {}", text(refusal, "at"), repeated(refusal)),
    );
    row("request", request(refusal));
    row("from", text(refusal, "address"));
    row("whose", whose(refusal));
    row("told", status_and_code(refusal));
    row("cause", text(refusal, "reason"));
    row("detail", text(refusal, "detail"));
    row("session", end(&refusal["session_end"]));
    format!(
        "{}\n{}\n{}\n",
        table.text(),
        text(refusal, "means"),
        text(refusal, "remedy")
    )
}

/// Everything that a login was refused.
pub(super) fn explanation(explanation: &Value) -> String {
    let causes = items(explanation, "causes");
    let count: u64 = causes.iter().filter_map(|it| it["count"].as_u64()).sum();
    let mut said = format!(
        "{} since {}: {}.\n",
        text(explanation, "login"),
        text(explanation, "since"),
        match count {
            0 => "no refusal is known".to_owned(),
            1 => "one refusal".to_owned(),
            many => format!("{many} refusals"),
        }
    );
    for (number, it) in causes.iter().enumerate() {
        said.push_str(&format!("\n{}. {}", number + 1, cause(it)));
    }
    let nearby = items(explanation, "from_its_addresses");
    if !nearby.is_empty() {
        said.push_str(
            "\nFrom an address that it uses, by callers who did not say who they are. They may be \
             others:\n",
        );
    }
    for (number, it) in nearby.iter().enumerate() {
        said.push_str(&format!("\n{}. {}", causes.len() + number + 1, cause(it)));
    }
    let accounts = items(explanation, "accounts");
    if accounts.is_empty() {
        said.push_str("\nNo account has this login.\n");
    }
    for account in accounts {
        said.push_str(&format!("\n{}", standing(account)));
    }
    if let Some(dropped @ 1..) = explanation["dropped"].as_u64() {
        said.push_str(&format!(
            "\n{dropped} refusals in total could not be recorded since the server was started.\n"
        ));
    }
    said
}

/// The steps of a dry run, and what comes of it.
pub(super) fn verdict(verdict: &Value) -> String {
    let mut table = Table::headless();
    for step in items(verdict, "steps") {
        let mark = if step["good"] == true { "ok" } else { "NO" };
        table.row([mark, &text(step, "what"), &text(step, "words")]);
    }
    let steps = table.text();
    let refusal = &verdict["refusal"];
    if refusal.is_null() {
        return format!("{steps}\nThe request would pass.\n");
    }
    let detail = match text(refusal, "detail") {
        detail if detail.is_empty() => detail,
        detail => format!(" ({detail})"),
    };
    format!(
        "{steps}\nThe request would be refused: {}{detail}.\n{}\n{}\nThe caller would get {} {}\n",
        text(refusal, "reason"),
        text(refusal, "means"),
        text(refusal, "remedy"),
        text(refusal, "status"),
        text(refusal, "body"),
    )
}

fn cause(cause: &Value) -> String {
    let example = &cause["example"];
    let mut said = format!(
        "{}{}: {}, from {}\n",
        text(cause, "reason"),
        at(cause, "api"),
        how_often(cause),
        joined(cause, "addresses"),
    );
    let mut line = |words: String| {
        if !words.is_empty() {
            said.push_str(&format!("   {words}\n"));
        }
    };
    line(text(cause, "means"));
    line(labelled("Detail: ", text(example, "detail")));
    line(labelled("The session was ", end(&example["session_end"])));
    line(text(cause, "remedy"));
    for change in items(cause, "before") {
        line(format!(
            "Before that, at {}: {} by {}",
            text(change, "at"),
            text(change, "what"),
            text(change, "by")
        ));
    }
    line(format!(
        "The last one: {} {}, answered with {}; countersign explain {}",
        text(example, "at"),
        request(example),
        status_and_code(example),
        text(example, "id"),
    ));
    said
}

fn how_often(cause: &Value) -> String {
    let (first, last) = (text(cause, "first"), text(cause, "last"));
    match cause["count"].as_u64() {
        Some(1) => format!("once, {first}"),
        _ => format!("{} times, first {first}, last {last}", text(cause, "count")),
    }
}

fn standing(account: &Value) -> String {
    let allow = match joined(account, "allow") {
        networks if networks.is_empty() => "everywhere".to_owned(),
        networks => networks,
    };
    let mut said = format!(
        "Account {} ({}) at {} is {}, may call from {allow}, and has {}.\n",
        text(account, "id"),
        text(account, "login"),
        text(account, "api"),
        text(account, "state"),
        live_sessions(account),
    );
    let login = &account["last_login"];
    if !login.is_null() {
        let (when, from) = (text(login, "at"), text(login, "address"));
        said.push_str(&format!("It last logged in at {when} from {from}.\n"));
    }
    let ended = end(&account["last_end"]);
    said.push_str(&labelled("Its last session to end was ", ended));
    said.push('\n');
    said
}

fn live_sessions(account: &Value) -> String {
    match account["live_sessions"].as_u64() {
        Some(1) => "one live session".to_owned(),
        _ => format!("{} live sessions", text(account, "live_sessions")),
    }
}

fn request(refusal: &Value) -> String {
    let (method, path) = (text(refusal, "method"), text(refusal, "path"));
    let place = at(refusal, "api");
    let by = format!(
        "{} by {}",
        text(refusal, "operation"),
        text(refusal, "front")
    );
    let words = format!("{method} {path}{place} ({})", by.trim_start());
    words.trim_start().to_owned()
}

fn whose(refusal: &Value) -> String {
    let account = labelled("account ", text(refusal, "account"));
    let login = labelled("login ", text(refusal, "login"));
    let session = labelled("session ", text(refusal, "session"));
    let known = [account, login, session]
        .into_iter()
        .filter(|it| !it.is_empty());
    known.collect::<Vec<_>>().join(", ")
}

fn status_and_code(refusal: &Value) -> String {
    format!("{} {}", text(refusal, "status"), text(refusal, "code"))
        .trim()
        .to_owned()
}

fn repeated(refusal: &Value) -> String {
    match refusal["repeated"].as_u64() {
        Some(more @ 1..) => format!("and {more} more until {}", text(refusal, "last_at")),
        _ => String::new(),
    }
}

fn end(end: &Value) -> String {
    if end.is_null() {
        return String::new();
    }
    format!("ended at {}: {}", text(end, "at"), text(end, "reason"))
}

fn at(value: &Value, name: &str) -> String {
    labelled(" at ", text(value, name))
}

fn labelled(label: &str, words: String) -> String {
    if words.is_empty() {
        words
    } else {
        format!("{label}{words}")
    }
}

fn joined(value: &Value, name: &str) -> String {
    let words: Vec<_> = items(value, name).iter().map(plain).collect();
    words.join(" ")
}

fn items<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

/// A member as text, an instant to the second; nothing for null.
fn text(value: &Value, name: &str) -> String {
    let told = plain(&value[name]);
    if matches!(name, "at" | "since" | "first" | "last") || name.ends_with("_at") {
        to_second(&told)
    } else {
        told
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => printable(text),
        other => other.to_string(),
    }
}
