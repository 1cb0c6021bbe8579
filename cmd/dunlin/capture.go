package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/dunlin-io/dunlin/cmd/internal/exit"
	"github.com/dunlin-io/dunlin/xdp/capture"
)

func captureCommand() *cobra.Command {
	o := capture.Options{}
	var file string
	c := &cobra.Command{
		Use:   "capture INTERFACE",
		Short: "Write the frames that the XDP program redirects to a pcapng file or pipe",
		Long: `Write the frames that the XDP program of an iokernel redirects to a pcapng file or
pipe, each with its receive queue, the program's verdict, and the reason as a comment.

tcpdump cannot see them: they never reach the kernel's stack. What runtimes send is not captured: do
so on the other side. It needs root (CAP_SYS_ADMIN). It slows reception down by about half a
microsecond for each frame; when it cannot keep up it loses copies, which it counts, and no frames.
It ends by itself with --count, else by SIGINT; the file is complete either way.`,
		Example: `  sudo dunlin capture eth1 -w frames.pcapng
  sudo dunlin capture eth1 -w - | wireshark -k -i -
  sudo dunlin capture eth1 --all --count 1000 --snaplen 96 -w - | tcpdump -n -r -`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if o.Count < 0 || o.SnapLen < 0 {
				return usage(c, errors.New("--count and --snaplen want 0 or more"))
			}
			o.Interface = args[0]
			stats, err := captureTo(c.Context(), file, c.OutOrStdout(), o)
			if err != nil && stats.Frames == 0 {
				return err
			}
			summary := c.OutOrStdout()
			if file == "-" { // that is where the frames went
				summary = c.ErrOrStderr()
			}
			if wantsJSON(c) {
				return errors.Join(err, writeJSON(summary, captured(stats), ""))
			}
			_, printErr := fmt.Fprintf(summary, "%d frames captured, %d bytes, %d lost\n",
				stats.Frames, stats.Bytes, stats.Lost)
			return errors.Join(err, printErr)
		},
	}
	f := c.Flags()
	f.StringVarP(&file, "write", "w", "-", "`file` to write; - is standard output")
	f.BoolVar(&o.All, "all", false, "frames that are passed to the kernel or dropped, too")
	f.IntVar(&o.SnapLen, "snaplen", 0, "keep so many `bytes` of each frame; 0 is all")
	f.IntVar(&o.Count, "count", 0, "end after so many `frames`; 0 is never")
	return c
}

// captured is capture.Stats as JSON.
type captured struct {
	Frames uint64 `json:"frames"`
	Bytes  uint64 `json:"bytes"`
	Lost   uint64 `json:"lost"`
}

// captureTo captures into a file, or to stdout for "-".
func captureTo(ctx context.Context, file string, stdout io.Writer, o capture.Options) (
	capture.Stats, error,
) {
	if file == "-" {
		if isTerminal(stdout) {
			return capture.Stats{}, exit.As(exit.Usage, errors.New("pcapng is not for a terminal: "+
				"name a file (-w), or pipe it somewhere"))
		}
		o.Out = stdout
		return runCapture(ctx, o)
	}
	f, err := os.Create(file)
	if err != nil {
		return capture.Stats{}, err
	}
	o.Out = f
	stats, err := runCapture(ctx, o)
	return stats, errors.Join(err, f.Close())
}

func runCapture(ctx context.Context, o capture.Options) (capture.Stats, error) {
	stats, err := capture.Run(ctx, o)
	if errors.Is(err, capture.ErrNoProgram) || errors.Is(err, capture.ErrDetached) {
		err = exit.As(exit.Absent, err)
	}
	return stats, err
}
