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
// at once. The first reason counts.
func (s *Session) Evict(reason string) { s.end(reason, true) }

// end asks serve to stop; it wakes the reading by a deadline in the past.
func (s *Session) end(reason string, evict bool) {
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
		reply, files, err := s.answer(ctx, h, m, &attached)
		cancel()
		if reason, _ := s.ending(); reason != "" && err != nil {
			break // the end explains the failure
		}
		if err != nil {
			s.refuse(refusalOf(err))
			if breaksRules(err) {
				why = err.Error()
				return
			}
		} else if err := s.reply(reply, files); err != nil {
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
			s.reply(&Evicted{Reason: reason}, nil) // it may be dead: then nobody needs to know
		}
		return reason
	case errors.As(err, &refusal):
		s.refuse(refusal)
		return refusal.Message
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.refuse(Refuse(CodeSilent, "no message in time; a connection is for attaching"))
		return "silence"
	case gone(err):
		return why
	}
	return err.Error()
}

// answer does what one message asks.
func (s *Session) answer(ctx context.Context, h Handler, m message, attached *bool) (
	message, []*os.File, error) {
	switch m := m.(type) {
	case *Hello:
		if *attached {
			return nil, nil, Refuse(CodeOrder, "already attached; a connection carries one runtime")
		}
		return s.attach(ctx, h, *m, attached)
	case *Neigh:
		if !*attached {
			return nil, nil, Refuse(CodeOrder, "attach first")
		}
		r, err := h.Neigh(ctx, s, m.Addr)
		return &r, nil, err
	case *StatusRequest:
		if refusal := s.server.policy.Status(s.peer.Credentials); refusal != nil {
			return nil, nil, refusal
		}
		r, err := h.Status(ctx)
		return &r, nil, err
	}
	return nil, nil, Refuse(CodeMalformed, "a message of type %s does not come from a runtime",
		typeOf(m))
}

func (s *Session) attach(ctx context.Context, h Handler, hello Hello, attached *bool) (
	message, []*os.File, error) {
	if refusal := s.server.policy.Attach(s.peer.Credentials, hello); refusal != nil {
		return nil, nil, refusal
	}
	a, err := h.Attach(ctx, s, hello)
	if err != nil {
		return nil, nil, err
	}
	*attached = true
	s.server.counts.attached.Add(1)
	s.server.log.Info("control: attached", "runtime", hello.Runtime, "mode", hello.Mode,
		"pid", s.peer.PID, "uid", s.peer.UID)
	if len(a.Files) != len(a.Grant.FDs) {
		err := fmt.Errorf("control: grant of %s: %d files with %d names", hello.Runtime,
			len(a.Files), len(a.Grant.FDs))
		s.Evict(err.Error())
		return nil, nil, err
	}
	if s.peer.pidfd != nil {
		s.server.running.Add(1) // we are one of those that Close waits for, so it is not at 0
		go func() {
			defer s.server.running.Done()
			if awaitExit(s.peer.pidfd) {
				s.end("the runtime's process is gone", false)
			}
		}()
	}
	return &a.Grant, a.Files, nil
}

// breaksRules reports whether a request was no honest mistake: such a connection is closed.
func breaksRules(err error) bool {
	code := refusalOf(err).Code
	return code == CodeMalformed || code == CodeVersion || code == CodeOrder
}

// refuse tells the client and whoever watches us.
func (s *Session) refuse(r *Refusal) {
	s.server.counts.refuse(r.Code)
	s.server.refusals.add(time.Now(), s.peer.Credentials, r)
	s.reply(r, nil) // it may be gone already, or not read: it has been counted
}

func (s *Session) reply(m message, files []*os.File) error {
	if err := s.conn.SetWriteDeadline(time.Now().Add(sendWithin)); err != nil {
		return err
	}
	return send(s.conn, m, files)
}

func (s *Session) close() {
	s.conn.Close() // a socket has nothing left to write
	if s.peer.pidfd != nil {
		s.peer.pidfd.Close() // wakes awaitExit
	}
}
