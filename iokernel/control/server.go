package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// Options say where a server listens and whom it serves.
type Options struct {
	Path   string
	Mode   fs.FileMode // of the socket file, for whom it is open
	GID    int         // of the socket file; -1 leaves it
	Policy Policy
	Log    *slog.Logger // nil: no log

	// Silence is how long a new connection may say nothing; 0 means 2 s.
	Silence time.Duration
}

// Attachment is what a Handler grants. Files are in the order of Grant.FDs and stay the handler's,
// which keeps them open at least until Detach.
type Attachment struct {
	Grant Grant
	Files []*os.File
}

// Handler does what is asked. Its methods are called from one goroutine per connection, so those of
// different sessions overlap. An error that is a *Refusal goes to the client as it is, any other as
// CodeInternal. The context ends after 5 s, or when the server closes.
type Handler interface {
	// Attach grants a Hello that the Policy permits. The session's identity is its pointer.
	Attach(ctx context.Context, s *Session, h Hello) (Attachment, error)
	// Detach takes the grant back: it is called once for each Attach that returned no error, after
	// it, also if the runtime never got the answer. The runtime may be dead, or still be using what
	// it was granted.
	Detach(s *Session, reason string)
	// Neigh looks up a neighbour for an attached session.
	Neigh(ctx context.Context, s *Session, addr netip.Addr) (NeighReply, error)
	// Threads takes notice of the threads of an attached session's workers.
	Threads(ctx context.Context, s *Session, ids []int) error
	// Status describes the iokernel.
	Status(ctx context.Context) (Status, error)
	// Cores says who has which core, with up to so many decisions.
	Cores(ctx context.Context, decisions int) (Cores, error)
}

// Server serves one control socket.
type Server struct {
	socket   *socketFile
	policy   Policy
	log      *slog.Logger
	silence  time.Duration
	counts   counts
	refusals refusalLog

	context context.Context // of everything that handlers do
	cancel  context.CancelFunc
	running sync.WaitGroup // connections and Serve

	mu       sync.Mutex
	closed   bool
	finished bool  // ... and everything has ended
	failed   error // of closing the socket
	conns    map[*Session]struct{}
	uids     map[uint32]int // open connections by user
}

// Listen opens the socket. Connections wait until Serve. A socket that a killed iokernel left
// behind is replaced; if somebody answers there the error is ErrRunning.
func Listen(o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Silence == 0 {
		o.Silence = silence
	}
	socket, err := listen(o)
	if err != nil {
		return nil, err
	}
	s := &Server{
		socket:   socket,
		policy:   o.Policy,
		log:      o.Log,
		silence:  o.Silence,
		refusals: refusalLog{log: o.Log},
		conns:    map[*Session]struct{}{},
		uids:     map[uint32]int{},
	}
	s.context, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

// Serve accepts connections and calls h until ctx ends or Close is called. When it returns, every
// session is detached.
func (s *Server) Serve(ctx context.Context, h Handler) error {
	if !s.enter() {
		return nil
	}
	defer context.AfterFunc(ctx, s.stop)()
	err := s.accept(h)
	s.stop()
	s.running.Done()
	s.finish()
	return err
}

// enter counts a goroutine that Close waits for, unless the server is closed.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.running.Add(1)
	return true
}

// accept takes connections until the listener is closed.
func (s *Server) accept(h Handler) error {
	pause := minPause
	for {
		conn, err := s.socket.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			s.log.Warn("control: accept", "err", err)
			select {
			case <-time.After(pause):
			case <-s.context.Done():
				return nil
			}
			pause = min(2*pause, maxPause)
			continue
		}
		pause = minPause
		s.counts.connections.Add(1)
		s.admit(conn, h)
	}
}

// admit starts a connection, or refuses it.
func (s *Server) admit(conn *net.UnixConn, h Handler) {
	who, err := peerOf(conn)
	if err != nil {
		s.log.Debug("control: connection dropped", "err", err) // it died before we looked
		conn.Close()
		return
	}
	session := &Session{server: s, conn: conn, peer: who}
	refusal := s.policy.Connect(who.Credentials)
	if refusal == nil {
		refusal = s.register(session)
	}
	if refusal != nil {
		session.refuse(refusal, true)
		session.close()
		return
	}
	go func() {
		defer s.unregister(session)
		session.serve(h)
	}()
}

func (s *Server) register(session *Session) *Refusal {
	uid := session.peer.UID
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return Refuse(CodeBusy, "the iokernel is stopping")
	case len(s.conns) >= maxConns:
		return Refuse(CodeBusy, "%d connections are open, which is the limit", maxConns)
	case s.uids[uid] >= maxConnsPerUID:
		return Refuse(CodeBusy, "uid %d has %d connections open, which is the limit", uid,
			maxConnsPerUID)
	}
	s.conns[session] = struct{}{}
	s.uids[uid]++
	s.running.Add(1)
	return nil
}

func (s *Server) unregister(session *Session) {
	s.mu.Lock()
	delete(s.conns, session)
	if s.uids[session.peer.UID]--; s.uids[session.peer.UID] == 0 {
		delete(s.uids, session.peer.UID)
	}
	s.mu.Unlock()
	s.running.Done()
}

// stop makes everything end, without waiting for it.
func (s *Server) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	for session := range s.conns {
		session.Evict("the iokernel is stopping")
	}
	s.cancel() // after that, so that it explains why requests fail
	s.failed = s.socket.hangUp()
}

// finish waits until all sessions are detached; only then another iokernel may start.
func (s *Server) finish() {
	s.running.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.finished {
		s.finished = true
		s.failed = errors.Join(s.failed, s.socket.unlock())
	}
}

// Close evicts all sessions, waits until they are detached, and removes the socket file. A Handler
// must not call it.
func (s *Server) Close() error {
	s.stop()
	s.finish()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return fmt.Errorf("control: close %s: %w", s.socket.path, s.failed)
	}
	return nil
}

// Counters returns what happened so far.
func (s *Server) Counters() Counters { return s.counts.read() }

// refusalOf is what a client is told of an error.
func refusalOf(err error) *Refusal {
	var r *Refusal
	if errors.As(err, &r) {
		return r
	}
	return Refuse(CodeInternal, "%s", fmt.Sprint(err))
}
