package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"reflect"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/cmd/internal/build"
	"github.com/dunlin-io/dunlin/cmd/internal/settings"
	"github.com/dunlin-io/dunlin/core/pin"
	"github.com/dunlin-io/dunlin/iokernel/config"
	"github.com/dunlin-io/dunlin/iokernel/daemon"
	"github.com/dunlin-io/dunlin/xdp"
)

// service is a running program.
type service struct {
	flags  *settings.Flags
	config config.Config // that the daemon was started with
	level  slog.LevelVar
	log    *slog.Logger
	daemon *daemon.Daemon
	notify notifier
}

// run is the program after its command line was read: until ctx ends or the daemon fails.
func run(ctx context.Context, flags *settings.Flags, stderr io.Writer) error {
	hangups := make(chan os.Signal, 1) // from here on, or one that comes early would kill
	signal.Notify(hangups, unix.SIGHUP)
	defer signal.Stop(hangups)

	effective, err := flags.Load()
	if err != nil {
		return err
	}
	s := &service{flags: flags, config: effective.Config}
	s.log = newLogger(stderr, s.config.Log, &s.level)
	s.notify.log = s.log
	for _, warning := range effective.Warnings {
		s.log.Warn("iokernel: " + warning)
	}
	if err := preflight(&s.config); err != nil {
		return err
	}
	pin.Procs(1)
	o := daemon.Options{Config: s.config, Log: s.log, Build: build.Version()}
	s.daemon, err = daemon.Start(o)
	if err != nil {
		return advise(err)
	}
	if lent := s.daemon.Lent(); len(lent) > 0 {
		if _, err := pin.KeepOff(lent); err != nil {
			return errors.Join(err, s.daemon.Close())
		}
	}
	err = s.serve(ctx, hangups)
	s.notify.stopping()
	s.log.Info("iokernel: stopping")
	return errors.Join(err, s.daemon.Close())
}

// advise adds the setting to change to errors of packages that do not know the settings.
func advise(err error) error {
	var foreign *xdp.ForeignError
	switch {
	case errors.Is(err, xdp.ErrDefaultRoute):
		return fmt.Errorf("%w: allow_default_route", err)
	case errors.As(err, &foreign):
		return fmt.Errorf("%w; or set interface to another one", err)
	}
	return err
}

// serve tells the service manager that all is well for as long as it is.
func (s *service) serve(ctx context.Context, hangups <-chan os.Signal) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.notify.ready(s.daemon.Line())
	go s.notify.watchdog(ctx, func() { s.daemon.Loop().Do(func() {}) })
	ended := make(chan error, 1)
	go func() { ended <- s.daemon.Wait(ctx) }()
	for {
		select {
		case err := <-ended:
			return err
		case <-hangups:
			s.notify.reloading()
			s.reload()
			s.notify.ready(s.daemon.Line())
		}
	}
}

// reload reads the configuration again and takes over what can change in a running iokernel.
func (s *service) reload() {
	effective, err := s.flags.Load()
	if err != nil {
		s.log.Error("iokernel: configuration not reloaded: it has mistakes; nothing was changed",
			"err", err)
		return
	}
	now := effective.Config
	if now.Log.Level != s.config.Log.Level {
		s.config.Log.Level = now.Log.Level
		s.level.Set(level(now.Log.Level))
		s.log.Warn("iokernel: log level changed", "level", now.Log.Level)
	}
	if !reflect.DeepEqual(now, s.config) {
		s.log.Warn("iokernel: the configuration differs from the running one in more than the " +
			"log level: restart to apply it; runtimes have to attach again then")
		return
	}
	s.log.Info("iokernel: configuration reloaded")
}

// newLogger writes to w as l says; l.Level goes to at, where it can be changed later.
func newLogger(w io.Writer, l config.Log, at *slog.LevelVar) *slog.Logger {
	at.Set(level(l.Level))
	o := &slog.HandlerOptions{Level: at}
	if l.Format == config.FormatJSON {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

func level(l config.LogLevel) slog.Level {
	switch l {
	case config.LevelDebug:
		return slog.LevelDebug
	case config.LevelWarn:
		return slog.LevelWarn
	case config.LevelError:
		return slog.LevelError
	}
	return slog.LevelInfo
}
