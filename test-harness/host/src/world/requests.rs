//! Requests: from the client's headers to the last callback.

use super::World;
use super::invoke::Called;
use crate::headers::Headers;
use crate::host::Context;
use crate::ids::{At, RequestId, RootId};
use crate::profile::Farewell;
use crate::report::{MisuseKind, Outcome, Reply, Request, Response};
use crate::stream::{Phase, Stream};

/// What the callbacks for headers and bodies answer to let them pass.
const CONTINUE: u32 = 0;

impl World {
    /// Makes a request without a body.
    pub fn request(&mut self, root: RootId, headers: impl Into<Headers>) -> RequestId {
        self.request_with(root, Request::new(headers))
    }

    /// Makes a request. For a filter that has ended, as for one whose VM has failed, the proxy answers 503.
    pub fn request_with(&mut self, root: RootId, request: Request) -> RequestId {
        let id = RequestId(self.store.data().streams.len());
        let root_at = self.place(root).unwrap_or(At { instance: usize::MAX, context: 0 });
        let headers = self.as_received(&request.headers);
        let count = u32::try_from(headers.len()).unwrap_or(u32::MAX);
        let context = Context::Stream { request: id, root: root_at.context };
        let context = self.host().instance(root_at).map_or(0, |instance| instance.add_context(context));
        let at = At { context, ..root_at };
        let variables = self.setup.profile.variables();
        self.host().streams.push(Stream::new(root, at, headers, request.source_address, variables));

        self.call(at, "proxy_on_context_create", &[context, root_at.context]);
        let end = request.end_of_stream && self.setup.profile.flags_end_of_stream();
        let called = self.call(at, "proxy_on_request_headers", &[context, count, u32::from(end)]);
        if called == Called::Failed {
            self.fail_stream(id);
        } else if passes(called) {
            self.forward(id);
        } else if let Some(stream) = self.host().stream(id).filter(|stream| stream.phase == Phase::Arriving) {
            stream.phase = Phase::Parked;
            if !self.waits(id) {
                self.forward(id);
            }
        }
        id
    }

    /// The lines as the proxy holds them.
    fn as_received(&self, lines: &Headers) -> Headers {
        let profile = &self.setup.profile;
        let mut headers = Headers::new();
        for (name, value) in lines.lines().filter(|(name, _)| !profile.drops(name)) {
            if profile.joins(name) { headers.join(name, value) } else { headers.add(name, value) }
        }
        headers
    }

    /// Sends a part of the body of a request that was forwarded. Answers whether it goes on to the upstream.
    pub fn request_body(&mut self, request: RequestId, part: impl Into<Vec<u8>>, end_of_stream: bool) -> bool {
        let part = part.into();
        self.body(request, "proxy_on_request_body", part, end_of_stream, |stream| &mut stream.request_body)
    }

    /// Sends a part of the body of a response whose headers were sent. Answers whether it goes on to the client.
    pub fn response_body(&mut self, request: RequestId, part: impl Into<Vec<u8>>, end_of_stream: bool) -> bool {
        let part = part.into();
        self.body(request, "proxy_on_response_body", part, end_of_stream, |stream| &mut stream.response_body)
    }

    fn body(
        &mut self,
        request: RequestId,
        callback: &str,
        part: Vec<u8>,
        end_of_stream: bool,
        buffer: fn(&mut Stream) -> &mut Vec<u8>,
    ) -> bool {
        let size = u32::try_from(part.len()).unwrap_or(u32::MAX);
        let Some(stream) = self.host().stream(request).filter(|stream| !stream.closed) else { return false };
        if !matches!(stream.phase, Phase::Forwarded | Phase::Answered) {
            return false;
        }
        *buffer(stream) = part;
        let at = stream.at;
        let called = self.call(at, callback, &[at.context, size, u32::from(end_of_stream)]);
        if called == Called::Failed {
            self.fail_stream(request);
        }
        if let Some(stream) = self.host().stream(request) {
            buffer(stream).clear();
        }
        passes(called)
    }

    /// The upstream answers a request that was forwarded.
    pub fn respond(&mut self, request: RequestId, headers: impl Into<Headers>) -> Response {
        let headers = headers.into();
        let count = u32::try_from(headers.len()).unwrap_or(u32::MAX);
        let expected = |stream: &&mut Stream| stream.phase == Phase::Forwarded && !stream.closed;
        let Some(stream) = self.host().stream(request).filter(expected) else { return Response::NotExpected };
        stream.phase = Phase::Answering;
        (stream.response, stream.response_open) = (headers, true);
        let at = stream.at;
        if !self.survives_replies(at) {
            return self.response(request);
        }

        let called = self.call(at, "proxy_on_response_headers", &[at.context, count, 0]);
        if called == Called::Failed {
            self.fail_stream(request);
        } else if let Some(stream) = self.host().stream(request).filter(|stream| stream.phase == Phase::Answering) {
            stream.phase = if passes(called) { Phase::Answered } else { Phase::AnswerParked };
            stream.response_open = stream.phase == Phase::AnswerParked;
        }
        self.response(request)
    }

    /// Ends a request in the ordinary way: everything was sent. A parked one is given up by the client.
    pub fn end(&mut self, request: RequestId) {
        self.finish(request);
    }

    /// The client disconnects.
    pub fn reset(&mut self, request: RequestId) {
        self.finish(request);
    }

    /// Where a request stands.
    #[must_use]
    pub fn outcome(&self, request: RequestId) -> Outcome {
        self.store.data().streams.get(request.0).map_or(Outcome::Gone, Stream::outcome)
    }

    /// Where its response stands.
    #[must_use]
    pub fn response(&self, request: RequestId) -> Response {
        self.store.data().streams.get(request.0).map_or(Response::NotExpected, Stream::response)
    }

    /// Whether a request is still going on.
    #[must_use]
    pub fn is_open(&self, request: RequestId) -> bool {
        self.store.data().streams.get(request.0).is_some_and(|stream| !stream.closed)
    }

    /// The filter state that the filter set on a request, by its name without the proxy's own prefix.
    #[must_use]
    pub fn filter_state(&self, request: RequestId, name: &str) -> Option<Vec<u8>> {
        self.store.data().streams.get(request.0)?.filter_state.get(name.as_bytes()).cloned()
    }

    /// The id of a request's context in its VM, and so in the filter's log lines.
    #[must_use]
    pub fn context_id(&self, request: RequestId) -> Option<u32> {
        self.store.data().streams.get(request.0).map(|stream| stream.at.context)
    }

    /// Resuming what is not parked yet works in the proxy, by accident of its order: it goes on, and is misuse.
    pub(super) fn resume_request(&mut self, request: RequestId) {
        let Some(stream) = self.host().stream(request) else { return };
        let (phase, closed) = (stream.phase, stream.closed);
        let let_through = phase == Phase::Forwarded && self.setup.profile.nginx().is_some_and(|conf| !conf.waits);
        if (phase != Phase::Parked || closed) && !let_through {
            self.host().misuse(Some(request), MisuseKind::ResumedNotParked);
        }
        self.forward(request);
    }

    pub(super) fn forward(&mut self, request: RequestId) {
        let waits = |stream: &&Stream| matches!(stream.phase, Phase::Arriving | Phase::Parked) && !stream.closed;
        let Some(stream) = self.store.data().streams.get(request.0).filter(waits) else { return };
        let delivered = self.setup.profile.delivered(&stream.request, &stream.wire, &stream.variables);
        let Some(delivered) = delivered else { return self.deny(request) };
        if let Some(stream) = self.host().stream(request) {
            stream.phase = Phase::Forwarded;
            stream.request_open = false;
            stream.delivered = Some(delivered);
        }
    }

    pub(super) fn resume_response(&mut self, request: RequestId) {
        let Some(stream) = self.host().stream(request) else { return };
        if stream.phase == Phase::AnswerParked && !stream.closed {
            stream.phase = Phase::Answered;
            stream.response_open = false;
        } else {
            self.host().misuse(Some(request), MisuseKind::ResumedNotParked);
        }
    }

    /// Sends the client a reply, which ends the request. A head that is on its way already can only be cut.
    pub(super) fn reply(&mut self, request: RequestId, reply: Reply) {
        let response = with_defaults(&reply, self.setup.profile.nginx().is_some());
        let Some(stream) = self.host().stream(request) else { return };
        if stream.closed || stream.reply.is_some() {
            return self.host().misuse(Some(request), MisuseKind::RepliedTwice);
        }
        if !stream.can_be_replied_to() {
            return self.cut(request);
        }
        let response_began = matches!(stream.phase, Phase::Answering | Phase::AnswerParked);
        let (at, asks_filter) = (stream.at, !response_began && !stream.failed);
        stream.phase = Phase::Replied;
        stream.response = response;
        stream.response_open = true;
        stream.reply = Some(reply);

        if asks_filter && self.setup.profile.shows_own_replies() {
            let count = self.store.data().streams.get(request.0).map_or(0, |stream| stream.response.len());
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            self.call(at, "proxy_on_response_headers", &[at.context, count, 0]);
        }
        self.send_reply(request);
        self.finish(request);
    }

    /// What the client sees is what the filter left of the reply's headers.
    fn send_reply(&mut self, request: RequestId) {
        let Some(stream) = self.host().stream(request) else { return };
        stream.response_open = false;
        let mut headers = stream.response.clone();
        let status = headers.text(":status").and_then(|status| status.parse().ok());
        headers.remove(":status");
        if let Some(reply) = &mut stream.reply {
            reply.status = status.unwrap_or(reply.status);
            reply.headers = headers;
        }
    }

    /// The proxy answers for a VM that failed.
    fn fail_stream(&mut self, request: RequestId) {
        let Some(stream) = self.host().stream(request).filter(|stream| !stream.closed) else { return };
        stream.failed = true;
        let (headers, details) = (Headers::new(), "wasm_fail_stream".to_owned());
        let status = self.status_of_failure();
        self.reply(request, Reply { status, headers, body: Vec::new(), grpc_status: Some(14), details });
    }

    /// The filter cuts a request, whatever it is at.
    pub(super) fn cut(&mut self, request: RequestId) {
        if let Some(stream) = self.host().stream(request).filter(|stream| !stream.closed) {
            stream.phase = Phase::Reset;
            stream.reply = None;
            self.finish(request);
        }
    }

    pub(super) fn finish(&mut self, request: RequestId) {
        let Some(stream) = self.host().stream(request).filter(|stream| !stream.closed) else { return };
        stream.closed = true;
        if matches!(stream.phase, Phase::Arriving | Phase::Parked) {
            stream.phase = Phase::Gone;
        }
        let (at, root) = (stream.at, stream.root);
        for farewell in self.setup.profile.farewells() {
            self.say_farewell(request, at, farewell);
        }
        let host = self.host();
        if let Some(instance) = host.instance(at) {
            instance.contexts.remove(&at.context);
            // A VM that was started for this request alone ends with it.
            instance.failed |= instance.of_one_request;
        }
        if host.profile.nginx().is_some() {
            host.calls.iter_mut().filter(|call| call.caller == at).for_each(|call| call.open = false);
        }
        self.end_if_idle(root);
    }

    fn say_farewell(&mut self, request: RequestId, at: At, farewell: Farewell) {
        let callback = match farewell {
            Farewell::Delete => "proxy_on_delete",
            Farewell::Done => "proxy_on_done",
            Farewell::Log => "proxy_on_log",
        };
        self.set_logging(request, farewell == Farewell::Log);
        self.call(at, callback, &[at.context]);
        self.set_logging(request, false);
    }

    fn set_logging(&mut self, request: RequestId, logging: bool) {
        if let Some(stream) = self.host().stream(request) {
            stream.logging = logging;
        }
    }
}

fn passes(called: Called) -> bool {
    matches!(called, Called::Absent | Called::Returned { value: CONTINUE, stopped: false })
}

/// The headers of a reply as the proxy sends it; nginx sends one of each name, the last.
fn with_defaults(reply: &Reply, one_of_each: bool) -> Headers {
    let mut headers = Headers::from([(":status", reply.status.to_string())]);
    for (name, value) in reply.headers.lines() {
        if one_of_each { headers.replace(name, value) } else { headers.add(name, value) }
    }
    if !reply.body.is_empty() {
        headers.replace("content-length", reply.body.len().to_string());
        if !headers.contains("content-type") {
            headers.add("content-type", "text/plain");
        }
    }
    headers
}
