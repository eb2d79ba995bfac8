//! Upstreams: whether callouts are taken, and how the test answers them.

use super::World;
use crate::headers::Headers;
use crate::ids::{CallId, RootId};
use crate::report::{Answer, Call, Caller, Cluster};

impl World {
    /// Sets what a cluster does with callouts from now on.
    pub fn set_cluster(&mut self, name: &str, cluster: Cluster) {
        self.host().clusters.insert(name.to_owned(), cluster);
    }

    /// Leaves a header as it is from now on, whatever filters ask for, and says so.
    pub fn fix_header(&mut self, name: &str) {
        self.host().fixed.insert(name.into());
    }

    /// The callouts that wait for an answer, in the order in which they were made. A canary's are not among them.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        let calls = self.store.data().calls.iter();
        calls
            .filter(|call| call.open && !call.doomed && call.call.from != Caller::Canary)
            .map(|call| call.call.clone())
            .collect()
    }

    /// Every callout that was ever made, answered or not.
    #[must_use]
    pub fn all_calls(&self) -> Vec<Call> {
        self.store.data().calls.iter().map(|call| call.call.clone()).collect()
    }

    /// The callouts that wait, of one filter's root context and its requests.
    #[must_use]
    pub fn calls_of(&self, root: RootId) -> Vec<Call> {
        let belongs = |call: &Call| match call.from {
            Caller::Root(from) => from == root,
            Caller::Request(request) => {
                self.store.data().streams.get(request.0).is_some_and(|stream| stream.root == root)
            }
            Caller::Canary => false,
        };
        self.calls().into_iter().filter(belongs).collect()
    }

    /// Answers a callout. Says whether the filter heard of it: not if it was answered before, if its root context is
    /// gone, or if its VM has failed.
    pub fn answer(&mut self, call: CallId, answer: Answer) -> bool {
        let Some(call) = self.host().calls.get_mut(call.0).filter(|call| call.open) else { return false };
        call.open = false;
        let (root, caller, token) = (call.root, call.caller, call.token);
        let cut_off = matches!(answer, Answer::CutOff { .. });
        let (headers, body) = if self.setup.profile.nginx().is_some() { by_nginx(answer) } else { as_received(answer) };
        let (count, size) = (number(headers.len()), number(body.len()));
        let Some(context) = self.host().root_context(root) else { return false };
        context.answer = (count > 0).then_some((headers, body));
        context.cut_off = cut_off;
        if self.failed(root.instance) {
            return false;
        }
        if self.setup.profile.nginx().is_some() {
            self.answer_caller(caller, [token, count, size, 0]);
        } else {
            self.call(root, "proxy_on_http_call_response", &[root.context, token, count, size, 0]);
        }
        if let Some(context) = self.host().root_context(root) {
            context.answer = None;
        }
        true
    }

    pub(super) fn time_out(&mut self, call: CallId) {
        self.answer(call, Answer::Timeout);
    }
}

/// The response that the filter sees; none at all after a reset.
fn as_received(answer: Answer) -> (Headers, Vec<u8>) {
    let (status, text) = match answer {
        Answer::Reset | Answer::CutOff { .. } => return (Headers::new(), Vec::new()),
        Answer::Http { mut headers, body } => {
            if !headers.contains(":status") {
                headers.add(":status", "200");
            }
            return (headers, body);
        }
        Answer::Refused => {
            ("503", "upstream connect error or disconnect/reset before headers. reset reason: connection failure")
        }
        Answer::Timeout => ("504", "upstream request timeout"),
    };
    let length = text.len().to_string();
    let headers =
        Headers::from([(":status", status), ("content-length", length.as_str()), ("content-type", "text/plain")]);
    (headers, text.as_bytes().to_vec())
}

/// The answer as nginx shows it: with a word on how the callout ended, and without a status if it failed.
fn by_nginx(answer: Answer) -> (Headers, Vec<u8>) {
    let failed = |how| (Headers::from([(":dispatch_status", how)]), Vec::new());
    let (mut headers, body) = match answer {
        Answer::Http { headers, body } => (headers, body),
        // There is a body, as far as it came.
        Answer::CutOff { headers } => (headers, vec![b'{'; 64]),
        Answer::Refused => return failed("connection refused"),
        Answer::Reset => return failed("reader error"),
        Answer::Timeout => return failed("timeout"),
    };
    if !headers.contains(":status") {
        headers.add(":status", "200");
    }
    if !headers.contains(":dispatch_status") {
        headers.add(":dispatch_status", "ok");
    }
    (headers, body)
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
