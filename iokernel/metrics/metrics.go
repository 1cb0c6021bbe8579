// Package metrics is the door through which others watch an iokernel: an HTTP server with
//
//	/metrics         numbers, in Prometheus' text form; names begin with dunlin_
//	/livez, /readyz  200 or 503 with the reason, for supervisors
//	/debug/pprof/    Go's profiles, if asked for
//
//	GET /metrics ──> snapshot() ──> Snapshot ──> const metrics ──> text
//
// Counting costs the dataplane nothing here: hot code counts in plain fields of its own, and only a
// scrape has the wiring gather them into a Snapshot. What is counted and how it is gathered is the
// wiring's. Nothing is registered globally; two servers in one process do not meet.
//
// The server is plain HTTP without authentication: bind it to a loopback address, or to one that a
// firewall guards. Its handlers run on ordinary goroutines, never on a dataplane core.
package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	// headWithin bounds how long a client may take to send its request, idleWithin how long a
	// connection is kept for the next one: longer than a usual interval between scrapes.
	headWithin = 5 * time.Second
	idleWithin = 2 * time.Minute
	// answerWithin bounds an answer, profiles apart, which take as long as they are asked to.
	answerWithin = 10 * time.Second
	// stopWithin is how long answers under way may take when the server ends.
	stopWithin = time.Second
	// maxHeaderBytes bounds a request. (guess: what browsers send is below 4 KiB)
	maxHeaderBytes = 16 << 10
	// maxScrapes bounds the scrapes under way; more are answered 503. (guess: two Prometheus
	// servers, and somebody with curl)
	maxScrapes = 4
)

// Options say what is served where.
type Options struct {
	Listen string // host:port; port 0 lets the kernel choose
	Build  Build
	Pprof  bool

	// Snapshot gathers the numbers; it is called for each scrape, maybe by several at once. An
	// error fails the scrape.
	Snapshot func() (Snapshot, error)
	// Alive and Ready say what is wrong, or nil: Alive that the process does its work, Ready that
	// it can serve. They must not block.
	Alive, Ready func() error

	Log *slog.Logger // nil: no log
}

// Server serves metrics.
type Server struct {
	listener net.Listener
	http     *http.Server
}

// Listen opens the listener, so that an address in use is an error at the start.
func Listen(o Options) (*Server, error) {
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	handler, err := o.handler(log)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w (metrics.listen: choose another port, or none)", err)
	}
	return &Server{listener: listener, http: &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headWithin,
		IdleTimeout:       idleWithin,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}}, nil
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Serve answers until ctx ends; then it lets answers under way finish for a second.
func (s *Server) Serve(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(s.listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("metrics: %w", err)
	case <-ctx.Done():
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	if err := s.http.Shutdown(late); err != nil {
		s.http.Close() // whoever still reads is cut off; there is nothing to lose
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}

// Close is for a server that is not going to Serve.
func (s *Server) Close() error { return s.listener.Close() }

func (o Options) handler(log *slog.Logger) (http.Handler, error) {
	registry := prometheus.NewPedanticRegistry()
	for _, c := range []prometheus.Collector{
		newCollector(o.Build, o.Snapshot),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("metrics: %w", err)
		}
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", bounded(promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		ErrorHandling:       promhttp.HTTPErrorOnError,
		MaxRequestsInFlight: maxScrapes,
		Timeout:             answerWithin,
	})))
	mux.Handle("GET /livez", bounded(health(o.Alive)))
	mux.Handle("GET /readyz", bounded(health(o.Ready)))
	if o.Pprof {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol) // go tool pprof posts to it
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	return mux, nil
}

// bounded cuts off a client that does not read its answer. A server-wide limit would hit profiles.
func bounded(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Only a writer that wraps another cannot do this, and there is none.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerWithin))
		h.ServeHTTP(w, r)
	})
}

// health answers with what check says.
func health(check func() error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		text := "ok\n"
		if err := check(); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			text = err.Error() + "\n"
		}
		_, _ = io.WriteString(w, text) // fails when the client has left
	})
}
