package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/dunlin-io/dunlin/dataplane/attach"
	"github.com/dunlin-io/dunlin/iokernel/control"
)

func statusCommand() *cobra.Command {
	var socket string
	c := &cobra.Command{
		Use:   "status",
		Short: "Show what the iokernel does and who is attached",
		Long: `Show what the iokernel serves, who is attached, and their packets and drops.

It answers root, and members of the group of its control socket. Counters count from the start of
the iokernel, those of a runtime from when it attached. A direct runtime's packets do not pass
through the iokernel, which has no counters for it. Metrics (metrics.listen) say more.`,
		Example: `  sudo dunlin status
  sudo dunlin status -o json | jq '.runtimes[] | select(.pid) | .name'`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := askStatus(socket)
			if err != nil {
				return err
			}
			if wantsJSON(c) {
				return writeJSON(c.OutOrStdout(), s, "  ")
			}
			return writeStatus(c.OutOrStdout(), s)
		},
	}
	c.Flags().StringVar(&socket, "socket", attach.DefaultSocket, "the iokernel's control `path`")
	return c
}

func askStatus(socket string) (control.Status, error) {
	c, err := control.Dial(socket)
	if err != nil {
		return control.Status{}, err
	}
	defer c.Close()
	return c.Status()
}

// writeStatus writes a status for people.
func writeStatus(out io.Writer, s control.Status) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	i := s.Interface
	fmt.Fprintf(t, "iokernel\t%s, up %v, on CPU %d\n", s.Build,
		time.Duration(s.Uptime).Round(time.Second), s.CPU)
	fmt.Fprintf(t, "interface\t%s (%v, MTU %d): %s\n", i.Name, i.MAC, i.MTU, addresses(i.Addresses))
	fmt.Fprintf(t, "XDP\t%s\n", s.XDP)
	fmt.Fprintf(t, "packets\t%d received, %d sent%s\n", s.Counters["rx_packets"],
		s.Counters["tx_packets"], drops(s.Counters))
	fmt.Fprint(t, "\nRUNTIME\tMODE\tPID\tUID\tCPUS\tRECEIVED\tSENT\n")
	for _, r := range s.Runtimes {
		if r.Mode == "" {
			fmt.Fprintf(t, "%s\tnot attached\n", r.Name)
			continue
		}
		received, sent := "-", "-" // direct: nobody but the runtime knows
		if r.Mode == control.Mediated {
			received = fmt.Sprint(r.Counters["rx_packets"])
			sent = fmt.Sprint(r.Counters["tx_packets"])
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%s\t%s\t%s%s\n", r.Name, r.Mode, r.PID, r.UID,
			workerCPUs(r.Workers), received, sent, drops(r.Counters))
	}
	return t.Flush() // errors of the writes above stay in t until now
}

// drops lists the counters of dropped packets, which are those that begin so.
func drops(counters map[string]uint64) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(counters)) {
		if reason, ok := strings.CutPrefix(name, "drop_"); ok && counters[name] > 0 {
			fmt.Fprintf(&b, ", dropped %d: %s", counters[name], reason)
		}
	}
	return b.String()
}

func workerCPUs(workers []control.WorkerGrant) string {
	texts := make([]string, len(workers))
	for i, w := range workers {
		texts[i] = fmt.Sprint(w.CPU)
	}
	return strings.Join(texts, ",")
}
