package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/dunlin-io/dunlin/cmd/internal/build"
	"github.com/dunlin-io/dunlin/cmd/internal/exit"
	"github.com/dunlin-io/dunlin/core/pin"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/attach"
	"github.com/dunlin-io/dunlin/dataplane/wire"
	"github.com/dunlin-io/dunlin/iokernel/config"
	"github.com/dunlin-io/dunlin/iokernel/control"
	"github.com/dunlin-io/dunlin/iokernel/daemon"
)

// echo is one run of the command.
type echo struct {
	attach    attach.Options
	solo      string // interface of an iokernel inside this process
	wanted    []endpoint
	reconnect bool
	out, log  io.Writer
	json      bool
}

// turn is the whole application: the packet goes back to where it came from.
func turn(r *dataplane.Request) { r.Turn() }

func (e *echo) run(ctx context.Context) error {
	if e.solo != "" {
		d, err := e.startSolo()
		if err != nil {
			return err
		}
		e.attach.Solo = d
		return errors.Join(e.once(ctx), d.Close())
	}
	if e.reconnect {
		return e.again(ctx)
	}
	return e.once(ctx)
}

// startSolo starts an iokernel that grants what is asked for.
func (e *echo) startSolo() (*daemon.Daemon, error) {
	r := config.DefaultRuntime()
	r.Name = e.attach.Name
	r.UIDs = []config.Account{config.ID(uint32(os.Getuid()))}
	if e.attach.Direct {
		r.AllowDirect, r.Queue = true, 0
	}
	for _, s := range e.wanted {
		r.Endpoints = append(r.Endpoints, config.Endpoint{
			EtherType: uint16(s.etherType),
			UDP:       s.udp,
		})
	}
	c := config.Default()
	c.Interface = e.solo
	c.Runtimes = []config.Runtime{r}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	pin.Procs(1) // the iokernel's loop turns the workers too
	return daemon.Start(daemon.Options{
		Config: c, Build: build.Version(), Private: true,
		Log: slog.New(slog.NewTextHandler(e.log, nil)),
	})
}

// once attaches, serves until ctx ends or the iokernel does, and says what was done.
func (e *echo) once(ctx context.Context) error {
	rt, err := attach.Open(e.attach)
	if err != nil {
		return err
	}
	services, err := e.serve(rt)
	if err != nil {
		return errors.Join(err, rt.Close())
	}
	workers := make([]*dataplane.Worker, rt.Workers())
	for i := range workers {
		workers[i] = rt.Worker(i)
	}
	if err := e.sayReady(rt.Grant(), services); err != nil {
		return errors.Join(err, rt.Close())
	}
	err = rt.Run(ctx)
	return errors.Join(err, e.sayDone(workers)) // nobody turns the workers any more
}

// serve registers what is wanted, or everything that was granted.
func (e *echo) serve(rt *attach.Runtime) ([]endpoint, error) {
	services := e.wanted
	if len(services) == 0 {
		for _, g := range rt.Grant().Endpoints {
			s := endpoint{etherType: wire.EtherType(g.EtherType), udp: g.UDP}
			if !slices.Contains(services, s) { // a port may be granted at several addresses
				services = append(services, s)
			}
		}
	}
	for _, s := range services {
		var err error
		if s.udp != 0 {
			err = rt.HandleUDP(s.udp, turn)
		} else {
			err = rt.HandleRaw(s.etherType, turn)
		}
		if err != nil {
			return nil, exit.As(exit.Usage, err)
		}
	}
	return services, nil
}

// ready is what echo says when it serves.
type ready struct {
	Event     string   `json:"event"` // "ready"
	Runtime   string   `json:"runtime"`
	Mode      string   `json:"mode"`
	Interface string   `json:"interface"`
	Addresses string   `json:"addresses"`
	Serves    []string `json:"serves"`
	CPUs      []int    `json:"cpus"` // of the workers; empty: with the iokernel, in solo mode
	UID       int      `json:"uid"`
}

func (e *echo) sayReady(g control.Grant, services []endpoint) error {
	r := ready{
		Event: "ready", Runtime: g.Runtime, Mode: string(g.Mode), UID: os.Getuid(),
		Interface: g.Interface.Name, Addresses: addresses(g.Interface.Addresses),
	}
	for _, s := range services {
		r.Serves = append(r.Serves, s.String())
	}
	for _, w := range g.Workers {
		r.CPUs = append(r.CPUs, w.CPU)
	}
	where := "workers on CPUs " + config.FormatList(r.CPUs)
	if e.solo != "" {
		r.Mode, r.CPUs = "solo "+r.Mode, nil
		where = "worker on the iokernel's CPU"
	}
	if e.json {
		return writeJSON(e.out, r, "")
	}
	_, err := fmt.Fprintf(e.out, "ready: %s serves %s on %s (%s), %s, %s, uid %d\n", r.Runtime,
		strings.Join(r.Serves, ", "), r.Interface, r.Addresses, r.Mode, where, r.UID)
	return err
}

// done is what echo says at the end of an attachment.
type done struct {
	Event   string            `json:"event"` // "done"
	Packets uint64            `json:"packets"`
	Replies uint64            `json:"replies"`
	Dropped map[string]uint64 `json:"dropped"` // by reason, those that are not 0
	Bursts  uint64            `json:"bursts"`
}

func (e *echo) sayDone(workers []*dataplane.Worker) error {
	d := done{Event: "done", Dropped: map[string]uint64{}}
	var drops []string
	for _, w := range workers {
		c := w.Counters()
		d.Packets += c.Packets
		d.Replies += c.Replies
		d.Bursts += c.Bursts
		for reason, n := range c.Dropped {
			if n > 0 {
				d.Dropped[dataplane.Reason(reason).String()] += n
			}
		}
	}
	if e.json {
		return writeJSON(e.out, d, "")
	}
	for reason, n := range d.Dropped {
		drops = append(drops, fmt.Sprintf(", %d dropped: %s", n, reason))
	}
	slices.Sort(drops)
	_, err := fmt.Fprintf(e.out, "done: %d packets in %d bursts, %d replies%s\n", d.Packets,
		d.Bursts, d.Replies, strings.Join(drops, ""))
	return err
}

const (
	// retryFirst and retryLast bound the wait before attaching again: soon enough that a restarted
	// iokernel is found before a person has switched windows, seldom enough to be no load. (guess)
	retryFirst = 50 * time.Millisecond
	retryLast  = 2 * time.Second
)

// again attaches until ctx ends, or until something fails that waiting does not mend.
func (e *echo) again(ctx context.Context) error {
	wait := retryFirst
	for {
		began := time.Now()
		err := e.once(ctx)
		if ctx.Err() != nil {
			return err
		}
		if code := exit.Of(err); code != exit.Absent && code != exit.Busy {
			return err
		}
		if time.Since(began) > retryLast {
			wait = retryFirst // it had been attached: this is a new outage
		}
		exit.Report(e.log, "dunlin echo", fmt.Errorf("%w; trying again in %v", err, wait))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		wait = min(2*wait, retryLast)
	}
}
