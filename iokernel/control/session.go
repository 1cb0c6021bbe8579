package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// Session is one connection. A Handler knows it from Attach to Detach.
type Session struct {
	server *Server
	conn   *net.UnixConn
	peer   peer

	mu      sync.Mutex
	ended   string // why it must end; empty as long as it need not
	evicted bool   // ... and the client is told
}

// Peer is who connected, as the kernel says.
func (s *Session) Peer() Credentials { return s.peer.Credentials }

// Evict ends the session: the runtime is told why, then cut off, then Detach is called. It returns
// at once. The first reason counts; it must not be empty.
func (s *Session) Evict(reason string) { s.end(reason, true) }

// end asks serve to stop; it wakes the reading by a deadline in the past.
func (s *Session) end(reason string, evict bool) {
	if reason == "" {
		panic("control: a session ends without a reason")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != "" {
		return
	}
	s.ended, s.evicted = reason, evict
	s.conn.SetReadDeadline(time.Unix(1, 0)) // fails only when closed, and then nobody reads
}

// listenFor sets how long to wait for the next message, 0 for ever, unless the session must end.
func (s *Session) listenFor(d time.Duration) (ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != "" {
		return false
	}
	var deadline time.Time
	if d > 0 {
		deadline = time.Now().Add(d)
	}
	return s.conn.SetReadDeadline(deadline) == nil
}

// ending is why the session must end, empty if it need not, and whether the client is told.
func (s *Session) ending() (reason string, evict bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended, s.evicted
}

// serve answers messages one by one until the connection ends. It is the only writer.
func (s *Session) serve(h Handler) {
	attached := false
	why := "the runtime closed its connection"
	defer func() {
		s.close()
		if attached {
			s.server.counts.detached.Add(1)
			s.server.log.Info("control: detached", "pid", s.peer.PID, "uid", s.peer.UID, "why", why)
			h.Detach(s, why)
		}
	}()
	buffer := make([]byte, MaxMessageBytes+1)
	patience := s.server.silence
	for s.listenFor(patience) {
		m, _, err := receive(s.conn, buffer, 0)
		if err != nil {
			why = s.lost(err, why)
			return
		}
		ctx, cancel := context.WithTimeout(s.server.context, answerWithin)
		reply, err := s.answer(ctx, h, m, &attached)
		cancel()
		if reason, _ := s.ending(); reason != "" && err != nil {
			break // the end explains the failure
		}
		if err != nil {
			final := breaksRules(err)
			s.refuse(refusalOf(err), final)
			if final {
				why = err.Error()
				return
			}
		} else if err := s.send(reply); err != nil {
			why = err.Error()
			return
		}
		if patience = idle; attached {
			patience = 0
		}
	}
	why = s.lost(os.ErrDeadlineExceeded, why)
}

// lost ends a session whose next message could not be read, and says why.
func (s *Session) lost(err error, why string) string {
	var refusal *Refusal
	reason, evict := s.ending()
	switch {
	case reason != "":
		if evict {
			s.say(&Evicted{Reason: reason})
		}
		return reason
	case errors.As(err, &refusal):
		s.refuse(refusal, true)
		return refusal.Message
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.refuse(Refuse(CodeSilent, "no message in time; a connection is for attaching"), true)
		return "silence"
	case gone(err):
		return why
	}
	return err.Error()
}

// answer does what one message asks.
func (s *Session) answer(ctx context.Context, h Handler, m message, attached *bool) (
	packet, error,
) {
	switch m := m.(type) {
	case *Hello:
		if *attached {
			return packet{}, Refuse(CodeOrder, "already attached; a connection carries one runtime")
		}
		return s.attach(ctx, h, *m, attached)
	case *Certify:
		return s.certify(ctx, h, m, *attached)
	case *Neigh:
		if !*attached {
			return packet{}, Refuse(CodeOrder, "attach first")
		}
		r, err := h.Neigh(ctx, s, m.Addr)
		if err != nil {
			return packet{}, err
		}
		return pack(&r)
	case *Threads:
		if !*attached {
			return packet{}, Refuse(CodeOrder, "attach first")
		}
		if err := h.Threads(ctx, s, m.IDs); err != nil {
			return packet{}, err
		}
		return pack(&Done{})
	case *StatusRequest, *CoresRequest:
		return s.report(ctx, h, m)
	}
	return packet{}, Refuse(CodeMalformed, "a message of type %s does not come from a runtime",
		typeOf(m))
}

// report answers those who only look.
func (s *Session) report(ctx context.Context, h Handler, m message) (packet, error) {
	if refusal := s.server.policy.Status(s.peer.Credentials); refusal != nil {
		return packet{}, refusal
	}
	if m, ok := m.(*CoresRequest); ok {
		r, err := h.Cores(ctx, min(max(m.Decisions, 0), MaxDecisions))
		if err != nil {
			return packet{}, err
		}
		return pack(&r)
	}
	r, err := h.Status(ctx)
	if err != nil {
		return packet{}, err
	}
	return pack(&r)
}

func (s *Session) attach(ctx context.Context, h Handler, hello Hello, attached *bool) (
	packet, error,
) {
	if refusal := s.server.policy.Attach(s.peer.Credentials, hello); refusal != nil {
		return packet{}, refusal
	}
	a, err := h.Attach(ctx, s, hello)
	if err != nil {
		return packet{}, err
	}
	*attached = true
	s.server.counts.attached.Add(1)
	s.server.log.Info("control: attached", "runtime", hello.Runtime, "mode", hello.Mode,
		"pid", s.peer.PID, "uid", s.peer.UID)
	if s.peer.pidfd != nil {
		s.server.running.Add(1) // we are one of those that Close waits for, so it is not at 0
		go s.watch()
	}
	grant, err := pack(&a.Grant, a.Files...)
	if err == nil && len(a.Files) != len(a.Grant.FDs) {
		err = fmt.Errorf("control: grant of %s: %d files with %d names", hello.Runtime,
			len(a.Files), len(a.Grant.FDs))
	}
	if err != nil {
		s.Evict(err.Error()) // the handler believes that it is attached
	}
	return grant, err
}

// watch ends the session when the process dies, although its connection may live on in another.
func (s *Session) watch() {
	defer s.server.running.Done()
	if awaitExit(s.peer.pidfd) {
		s.end("the runtime's process is gone", false)
	}
}

// breaksRules reports whether a request was no honest mistake: such a connection is closed.
func breaksRules(err error) bool {
	code := refusalOf(err).Code
	return code == CodeMalformed || code == CodeVersion || code == CodeOrder
}

// refuse tells the client and whoever watches us.
func (s *Session) refuse(r *Refusal, final bool) {
	s.server.counts.refuse(r.Code)
	s.server.refusals.add(time.Now(), s.peer.Credentials, r)
	s.say(&Refusal{Code: r.Code, Message: r.Message, Final: final})
}

// say sends a message that need not arrive: the client may be gone, or not read.
func (s *Session) say(m message) {
	if p, err := pack(m); err == nil {
		_ = s.send(p)
	}
}

func (s *Session) send(p packet) error {
	if err := s.conn.SetWriteDeadline(time.Now().Add(sendWithin)); err != nil {
		return err
	}
	return p.send(s.conn)
}

func (s *Session) close() {
	s.conn.Close() // a socket has nothing left to write
	if s.peer.pidfd != nil {
		s.peer.pidfd.Close() // wakes awaitExit
	}
}
