package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/attach"
	"github.com/dunlin-io/dunlin/iokernel/control"
)

// explainDefault is how many decisions are explained if no number is given: a screen. (guess)
const explainDefault = 20

func coresCommand() *cobra.Command {
	var socket string
	var explain decisionCount
	c := &cobra.Command{
		Use:   "cores [--explain [N]]",
		Short: "Show which runtime has which core, since when and why",
		Long: `Show the cores that the iokernel lends: who has each, for how long and why, how often
it was granted, and whose its time was since the start of the iokernel. --explain lists the last
decisions of the policy with the figures that they were based on.

It answers root, and members of the group of its control socket. See dunlin top for rates.`,
		Example: `  sudo dunlin cores
  sudo dunlin cores --explain 50
  sudo dunlin cores -o json | jq '.cores[] | select(.owner == "echo") | .cpu'`,
		Args: func(c *cobra.Command, args []string) error { return explain.take(c, args) },
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := askCores(socket, int(explain))
			if err != nil {
				return err
			}
			switch out := c.OutOrStdout(); {
			case wantsJSON(c):
				return writeJSON(out, s, "  ")
			case explain > 0:
				return writeDecisions(out, s)
			default:
				return writeCores(out, s)
			}
		},
	}
	f := c.Flags()
	f.StringVar(&socket, "socket", attach.DefaultSocket, "the iokernel's control `path`")
	f.Var(&explain, "explain", fmt.Sprintf("the last `N` decisions, %d at most",
		control.MaxDecisions))
	f.Lookup("explain").NoOptDefVal = strconv.Itoa(explainDefault)
	return c
}

// decisionCount is the value of --explain; 0 is without.
type decisionCount int

func (n *decisionCount) String() string { return strconv.Itoa(int(*n)) }
func (n *decisionCount) Type() string   { return "N" }

func (n *decisionCount) Set(text string) error {
	got, err := strconv.Atoi(text)
	if err != nil || got < 1 || got > control.MaxDecisions {
		return fmt.Errorf("want a number from 1 to %d", control.MaxDecisions)
	}
	*n = decisionCount(got)
	return nil
}

// take has "--explain 5" mean what "--explain=5" does: a flag that may stand alone does not look at
// what follows it.
func (n *decisionCount) take(c *cobra.Command, args []string) error {
	if len(args) != 1 || !c.Flags().Changed("explain") {
		return cobra.NoArgs(c, args)
	}
	if err := n.Set(args[0]); err != nil {
		return fmt.Errorf("--explain %q: %w", args[0], err)
	}
	return nil
}

func askCores(socket string, decisions int) (control.Cores, error) {
	c, err := control.Dial(socket)
	if err != nil {
		return control.Cores{}, err
	}
	defer c.Close()
	return c.Cores(decisions)
}

// writeCores writes who has which core, for people.
func writeCores(out io.Writer, s control.Cores) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "policy\t%s, every %s: %d passes in %s\n", s.Policy, shortTime(s.Interval),
		s.Passes, shortTime(s.Uptime))
	l := s.Latencies
	fmt.Fprintf(t, "moves\tdetected in %s, handed over in %s (p99 %s)\n", shortTime(l.Detection),
		shortTime(l.HandOver), shortTime(l.HandOver9))
	fmt.Fprintf(t, "wake-ups\t%d, and %d signals, in %s, at most %s\n", s.Wakes.Wakes,
		s.Wakes.Signals, shortTime(s.Wakes.Spent), shortTime(s.Wakes.Longest))
	for _, sensor := range s.Sensors {
		state := "available"
		if !sensor.Available {
			state = "not available: " + sensor.Why
		}
		fmt.Fprintf(t, "sensor\t%s: %s\n", sensor.Name, state)
	}
	if err := t.Flush(); err != nil { // errors of the writes above stay in t until now
		return err
	}
	fmt.Fprint(t, "\nCORE\tCPU\tSTATE\tOWNER\tFOR\tWHY\tGRANTS\tTIME\n")
	for _, k := range s.Cores {
		fmt.Fprintf(t, "%d\t%d\t%s\t%s\t%s\t%s\t%d\t%s\n", k.Core, k.CPU, k.State, dash(k.Owner),
			shortTime(k.Held), dash(k.Reason), k.Grants, shares(sharesOf(k.Times, nil)))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprint(t, "\nRUNTIME\tCLASS\tCORES\tRESERVED\tWAITING\tDELAY P50\tP99\tTIME\tBUSY\t"+
		"GRANTS\tTAKEN\tFORCED\n")
	for _, r := range s.Runtimes {
		if !r.Attached {
			fmt.Fprintf(t, "%s\t%s\tnot attached\n", r.Runtime, r.Class)
			continue
		}
		waiting, p50, p99, busy := fmt.Sprint(r.Waiting), shortTime(r.DelayP50),
			shortTime(r.DelayP99), shortTime(r.Busy)
		if r.Guest { // nobody sees its queues
			waiting, p50, p99, busy = "-", "-", "-", "-"
		}
		fmt.Fprintf(t, "%s\t%s\t%d of %d\t%d\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\n", r.Runtime,
			classOf(r), r.Held, r.Most, r.Reserved, waiting, p50, p99, shortTime(r.Time), busy,
			r.Grants, r.Revocations, forced(r))
	}
	return t.Flush()
}

// classOf is the class of a runtime, and whether an ordinary program is attached.
func classOf(r control.CoreUser) string {
	if r.Guest {
		return r.Class + ", guest"
	}
	return r.Class
}

// forced says how often a runtime had to be made to obey.
func forced(r control.CoreUser) string {
	text := fmt.Sprint(r.Demotions)
	if r.Stuck > 0 {
		text += fmt.Sprintf(", stuck %d", r.Stuck)
	}
	if r.Nonsense > 0 {
		text += fmt.Sprintf(", nonsense %d", r.Nonsense)
	}
	return text
}

// writeDecisions writes the last decisions, the latest first.
func writeDecisions(out io.Writer, s control.Cores) error {
	if len(s.Decisions) == 0 {
		_, err := fmt.Fprintln(out, "no decisions yet")
		return err
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "AGO\tCORE\tDECISION\tFROM\tTO\tWHY\tINPUT\tWAITING\tDELAY\n")
	for _, d := range s.Decisions {
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", shortTime(d.Age), d.Core, d.Action,
			dash(d.From), dash(d.To), d.Reason, dash(d.Input), d.Waiting, shortTime(d.Delay))
	}
	return t.Flush()
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// share is whose a part of some time was.
type share struct {
	Runtime string  `json:"runtime,omitempty"` // empty: nobody's
	Part    float64 `json:"part"`              // of 1
}

// sharesOf divides what the times have grown by since the earlier ones, the largest part first.
func sharesOf(times, earlier []control.OwnerTime) []share {
	before := map[string]core.Time{}
	for _, t := range earlier {
		before[t.Runtime] = t.Time
	}
	var sum core.Time
	more := make([]core.Time, len(times))
	for i, t := range times {
		more[i] = grown(t.Time, before[t.Runtime])
		sum += more[i]
	}
	var list []share
	for i, t := range times {
		if more[i] > 0 {
			list = append(list, share{t.Runtime, float64(more[i]) / float64(sum)})
		}
	}
	slices.SortStableFunc(list, func(a, b share) int { return cmp.Compare(b.Part, a.Part) })
	return list
}

// shares lists them as echo 20%, nobody 80%.
func shares(list []share) string {
	texts := make([]string, len(list))
	for i, s := range list {
		name := s.Runtime
		if name == "" {
			name = "nobody"
		}
		texts[i] = fmt.Sprintf("%s %.0f%%", name, 100*s.Part)
	}
	return dash(strings.Join(texts, ", "))
}

// shortTime is a duration with three digits, in at most 7 columns.
func shortTime(t core.Time) string {
	units := []struct {
		size core.Time
		name string
	}{
		{core.Microsecond, "us"},
		{core.Millisecond, "ms"},
		{core.Second, "s"},
		{60 * core.Second, "min"},
		{3600 * core.Second, "h"},
		{24 * 3600 * core.Second, "d"},
	}
	if t < units[0].size {
		return fmt.Sprintf("%dns", t)
	}
	u := units[0]
	for _, next := range units[1:] {
		if t >= next.size {
			u = next
		}
	}
	return threeDigits(float64(t)/float64(u.size)) + u.name
}

// threeDigits is a number below a thousand, rounded.
func threeDigits(v float64) string {
	switch {
	case v < 9.995:
		return fmt.Sprintf("%.2f", v)
	case v < 99.95:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}
