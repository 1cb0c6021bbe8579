package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"

	"github.com/spf13/cobra"

	"github.com/dunlin-io/dunlin/cmd/internal/exit"
	"github.com/dunlin-io/dunlin/cmd/internal/machine"
	"github.com/dunlin-io/dunlin/core/pin"
	"github.com/dunlin-io/dunlin/dataplane/attach"
	"github.com/dunlin-io/dunlin/iokernel/config"
	"github.com/dunlin-io/dunlin/iokernel/control"
)

// What a shell ends with when it cannot run a command (POSIX, Shell Command Language, 2.8.2).
const (
	codeNotExecutable exit.Code = 126
	codeNotFound      exit.Code = 127
)

// runOptions are run's flags.
type runOptions struct {
	bestEffort bool
	as         string
	socket     string
}

func runCommand() *cobra.Command {
	o := &runOptions{}
	c := &cobra.Command{
		Use:   "run --be [flags] [--] COMMAND [ARGUMENT]...",
		Short: "Run an ordinary program on the time that lent cores have left",
		Long: `Run an ordinary program on the CPUs that the iokernel lends, when nobody needs them.

The command attaches as a guest, under the name of a runtime of class be. The program and what
it starts run at SCHED_IDLE on the lent CPUs: the kernel takes the CPU from them as soon as a worker
of another runtime wakes there. Nothing has to be changed in the program, and it needs no privilege.
One setting of the kernel can stand against it, and then a line says so (see dunlin doctor).

Standard input, output and error are the program's. SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1 and
SIGUSR2 are passed on to it (those that a terminal sends, it has got already). When it ends the
guest detaches; processes that it leaves behind keep running at SCHED_IDLE on the same CPUs.

If the iokernel ends or evicts the guest, one line says so, and the program goes on as it was.

The exit code is the program's, 128 + N if signal N ended it, 127 if there is no such program and
126 if it cannot be executed. If it is not started for another reason:

` + exit.Table,
		Example: `  dunlin run --be -- make -j4
  dunlin run --be --as backup tar -cf - /srv | ssh store 'cat > srv.tar'`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if !o.bestEffort {
				return usage(c, errors.New("say --be: ordinary programs run as best effort, or "+
					"without dunlin; latency-critical ones attach (see package attach)"))
			}
			g := &guest{log: c.ErrOrStderr(), name: c.CommandPath()}
			program, err := findProgram(args)
			if err != nil {
				return err
			}
			return g.run(*o, program)
		},
	}
	f := c.Flags()
	f.SetInterspersed(false) // what follows the program's name is the program's
	f.BoolVar(&o.bestEffort, "be", false, "as best effort; there is no other way")
	f.StringVar(&o.as, "as", "batch", "the `name` of the runtime, of class be, in the iokernel's "+
		"configuration")
	f.StringVar(&o.socket, "socket", attach.DefaultSocket, "the iokernel's control `path`")
	return c
}

// findProgram looks a command up as a shell does.
func findProgram(args []string) (*exec.Cmd, error) {
	program := exec.Command(args[0], args[1:]...)
	if errors.Is(program.Err, exec.ErrDot) {
		program.Err = nil // the user's PATH names this folder, as shells permit
	}
	if program.Err != nil {
		return nil, cannotRun(program.Err)
	}
	program.Stdin, program.Stdout, program.Stderr = os.Stdin, os.Stdout, os.Stderr
	return program, nil
}

// cannotRun gives the error of a program that did not start its exit code.
func cannotRun(err error) error {
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return exit.As(codeNotFound, err)
	}
	return exit.As(codeNotExecutable, err)
}

// guest is one attachment of an ordinary program.
type guest struct {
	log  io.Writer
	name string // of the command
	cpus []int
}

// run attaches, runs the program and detaches.
func (g *guest) run(o runOptions, program *exec.Cmd) error {
	signals, stop := catchSignals() // from here on they do not end us, so that the program has them
	defer stop()
	client, err := control.Dial(o.socket)
	if err != nil {
		return err
	}
	defer client.Close()
	grant, files, err := client.Attach(control.Hello{Runtime: o.as, Mode: control.Guest})
	if err != nil {
		return err
	}
	for _, f := range files { // a guest needs none
		f.Close()
	}
	if grant.Loan == nil || len(grant.Loan.Cores) == 0 {
		return fmt.Errorf("the iokernel granted %q no CPUs: see cores.lend, and cpus of the "+
			"runtime, in its configuration", o.as)
	}
	g.cpus = grant.Loan.Cores
	if err := g.checkCPUs(); err != nil {
		return err
	}
	if idle := machine.Idle(); idle.Within != "" {
		g.say("SCHED_IDLE counts within %s only: beside workers that are not in it the program "+
			"takes its part of the CPU; %s", idle.Within, idle.Remedy)
	}
	return g.supervise(client, program, signals)
}

// checkCPUs complains if this process may use none of the lent CPUs, and says if some.
func (g *guest) checkCPUs() error {
	allowed, err := pin.Allowed()
	if err != nil {
		return err
	}
	var usable []int
	for _, cpu := range g.cpus {
		if allowed.IsSet(cpu) {
			usable = append(usable, cpu)
		}
	}
	if len(usable) == 0 {
		return exit.As(exit.Denied, fmt.Errorf("CPUs %s are lent, and this process may use %v "+
			"only: see taskset, or the cpuset of its control group", config.FormatList(g.cpus),
			allowed))
	}
	if len(usable) < len(g.cpus) {
		g.say("CPUs %s are lent; this process may use %s of them", config.FormatList(g.cpus),
			config.FormatList(usable))
	}
	g.cpus = usable
	return nil
}

// say writes a line for the user beside the program's output.
func (g *guest) say(format string, args ...any) {
	exit.Report(g.log, g.name, fmt.Errorf(format, args...))
}

// lost says that the iokernel does not know us any more.
func (g *guest) lost(why error) {
	g.say("%w; the program goes on at SCHED_IDLE on CPUs %s", why, config.FormatList(g.cpus))
}
