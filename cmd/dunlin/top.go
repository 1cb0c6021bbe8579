package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"

	"github.com/dunlin-io/dunlin/dataplane/attach"
	"github.com/dunlin-io/dunlin/iokernel/control"
)

const (
	// topInterval is long enough to read, short enough to see something happen.
	topInterval = time.Second
	// An answer costs the iokernel's control plane some 100 us: below minTopInterval that is no
	// longer nothing. (guess)
	minTopInterval = 100 * time.Millisecond
)

// top is one run of the command.
type top struct {
	socket   string
	interval time.Duration
	once     bool
	json     bool
	out      io.Writer
}

func topCommand() *cobra.Command {
	t := &top{}
	c := &cobra.Command{
		Use:   "top",
		Short: "Watch cores move between runtimes",
		Long: `Watch who uses which core, how long requests wait, and how often cores move, for each
core and each runtime. q or ctrl-c ends it.

  CORES  cores that the runtime had, on the average of the interval
  BUSY   part of that time with a request in hand; for a core: with an owner
  P50    queueing delays since the runtime attached

With --once, or if standard output is no terminal, it prints one table of one interval and ends. -o
json writes one object for each interval, and only one with --once. NO_COLOR is respected. It
answers root, and members of the group of the iokernel's control socket.`,
		Example: `  sudo dunlin top
  sudo dunlin top --once --interval 10s
  sudo dunlin top -o json | jq -c '[.runtimes[] | {runtime, cores, grants_per_second}]'`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if t.interval < minTopInterval {
				return usage(c, fmt.Errorf("--interval %v: want %v or more", t.interval,
					minTopInterval))
			}
			t.out, t.json = c.OutOrStdout(), wantsJSON(c)
			switch {
			case t.json:
				return t.stream(c.Context())
			case t.once || !isTerminal(t.out):
				t.once = true
				return t.stream(c.Context())
			}
			return t.watch(c.Context())
		},
	}
	f := c.Flags()
	f.StringVar(&t.socket, "socket", attach.DefaultSocket, "the iokernel's control `path`")
	f.DurationVar(&t.interval, "interval", topInterval, "time between two looks")
	f.BoolVar(&t.once, "once", false, "print the rates of one interval, and end")
	return c
}

// look asks once; a connection for each look survives a restart of the iokernel.
func (t *top) look() (control.Cores, error) { return askCores(t.socket, 0) }

// stream writes the rates of each interval, or of one, until ctx ends.
func (t *top) stream(ctx context.Context) error {
	before, err := t.look()
	if err != nil {
		return err
	}
	ticker := time.NewTicker(t.interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		after, err := t.look()
		if err != nil {
			return err
		}
		r := ratesOf(before, after)
		r.Time = time.Now()
		if t.json {
			err = writeJSON(t.out, r, "")
		} else {
			_, err = io.WriteString(t.out, topText(r, unlimited, plainPaint()))
		}
		if err != nil || t.once {
			return err
		}
		before = after
	}
}

// watch shows the rates on the terminal until the user has seen enough.
func (t *top) watch(ctx context.Context) error {
	first, err := t.look()
	if err != nil {
		return err
	}
	paint := plainPaint()
	if colours(t.out) {
		paint = colourPaint()
	}
	program := tea.NewProgram(
		newTopModel(t.look, t.interval, paint, first),
		tea.WithContext(ctx), tea.WithOutput(t.out),
		tea.WithoutSignalHandler(), // main has one, which ends ctx
	)
	_, err = program.Run()
	if ctx.Err() != nil && errors.Is(err, tea.ErrProgramKilled) {
		return nil
	}
	return err
}
