package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/dunlin-io/dunlin/cmd/internal/machine"
	"github.com/dunlin-io/dunlin/core/pin"
	"github.com/dunlin-io/dunlin/iokernel/config"
	"github.com/dunlin-io/dunlin/iokernel/sensor"
)

// examineCores looks at what lending cores can go by.
func examineCores() []finding {
	allowed, err := pin.Allowed()
	if err != nil {
		return []finding{unknown("lent cores", err)}
	}
	online, err := sensor.Online(os.DirFS(sensor.CPURoot))
	if err != nil {
		return []finding{unknown("lent cores", err)}
	}
	cpus := slices.DeleteFunc(allowed.List(), func(cpu int) bool {
		return !slices.Contains(online, cpu)
	})
	list := []finding{judgeLendable(cpus)}
	if topology, err := sensor.ReadTopology(os.DirFS(sensor.CPURoot), cpus); err != nil {
		list = append(list, unknown("hyperthreads", err))
	} else {
		list = append(list, judgeSiblings(cpus, topology.Sibling))
	}
	_, err = sensor.OpenResctrl(os.DirFS(sensor.ResctrlRoot))
	list = append(list, judgeSensor("memory traffic", err,
		"resctrl measures it: cores.bandwidth_limit can hold be back",
		"cores.bandwidth_limit has no effect"))
	misses, err := sensor.OpenPerf(sensor.OpenCounter, cpus)
	if err == nil {
		err = misses.Close()
	}
	list = append(list, judgeSensor("cache misses", err,
		"perf counts them: above the bandwidth_limit the worst be runtime is held back",
		"above the bandwidth_limit be is held back without knowing which runtime is the worst"))
	if state, name, err := machine.Scheduler(); err != nil {
		list = append(list, unknown("sched_ext", err))
	} else {
		list = append(list, judgeScheduler(state, name))
	}
	return append(list, judgeIdle(machine.Idle()))
}

func judgeLendable(cpus []int) finding {
	if len(cpus) < 2 {
		return note("lent cores", "none can be lent: the iokernel has one itself, and CPUs %s are "+
			"allowed", config.FormatList(cpus))
	}
	return ok("lent cores", "%d can be lent, CPUs %s (cores.lend: auto); the iokernel keeps CPU %d",
		len(cpus)-1, config.FormatList(cpus[1:]), cpus[0])
}

func judgeSiblings(cpus []int, sibling func(cpu int) (int, bool)) finding {
	var pairs []string
	for _, cpu := range cpus {
		if other, ok := sibling(cpu); ok && (cpu < other || !slices.Contains(cpus, other)) {
			pairs = append(pairs, fmt.Sprintf("%d and %d", cpu, other))
		}
	}
	if len(pairs) == 0 {
		return note("hyperthreads", "none: each CPU is a core by itself, and request_budget has "+
			"no effect")
	}
	return ok("hyperthreads", "CPUs %s share cores: request_budget keeps the other one of a slow "+
		"request idle", strings.Join(pairs, ", "))
}

// judgeSensor says what follows from having a sensor, or from not having it.
func judgeSensor(check string, err error, with, without string) finding {
	var missing *sensor.Unavailable
	switch {
	case err == nil:
		return ok(check, "%s", with)
	case !errors.As(err, &missing):
		return unknown(check, err)
	}
	remedy := ""
	if missing.Remedy != "" {
		remedy = "; " + missing.Remedy
	}
	return note(check, "not measured: %s%s. Without it %s", missing.Why, remedy, without)
}

func judgeScheduler(state, name string) finding {
	switch state {
	case "":
		return note("sched_ext", "this kernel has none; nothing here needs it: cores pass by "+
			"baton, and by SCHED_IDLE where a program does not cooperate")
	case "disabled":
		return note("sched_ext", "there, with no scheduler loaded; dunlin does not use it: cores "+
			"pass by baton, and by SCHED_IDLE where a program does not cooperate")
	}
	return warn("sched_ext", fmt.Sprintf("BPF scheduler %q is %s: it decides who runs, whatever "+
		"SCHED_IDLE says", name, state), "unload it, or see that it lets SCHED_IDLE wait")
}

func judgeIdle(scope machine.IdleScope) finding {
	if scope.Within == "" {
		return ok("SCHED_IDLE", "programs of dunlin run --be give way to everybody")
	}
	return warn("SCHED_IDLE", fmt.Sprintf("it counts within %s only: programs of dunlin run --be "+
		"take a part of the CPU from runtimes that are not in it", scope.Within), scope.Remedy)
}
