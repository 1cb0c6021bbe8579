package main

import (
	"fmt"
	"strings"

	"charm.land/lipgloss/v2"
)

// paint gives text its looks; without colours it leaves it alone.
type paint struct{ head, dim, good, warn func(string) string }

func plainPaint() paint {
	plain := func(text string) string { return text }
	return paint{plain, plain, plain, plain}
}

func colourPaint() paint {
	of := func(s lipgloss.Style) func(string) string {
		return func(text string) string { return s.Render(text) }
	}
	style := lipgloss.NewStyle()
	return paint{
		head: of(style.Bold(true)), dim: of(style.Faint(true)),
		good: of(style.Foreground(lipgloss.Green)), warn: of(style.Foreground(lipgloss.Yellow)),
	}
}

// unlimited is the width of output that is no screen.
const unlimited = 0

const (
	// nameColumns is the least room for names of runtimes: the rest of the table takes 65 columns.
	nameColumns = 14
	// maxNameColumns is the longest name that a configuration may have.
	maxNameColumns = 32
)

// topText is the rates for people, in lines of at most so many columns.
func topText(r rates, width int, p paint) string {
	name := nameColumns
	for _, u := range r.Runtimes {
		name = max(name, len(u.Runtime))
	}
	name = min(name, maxNameColumns)
	if width != unlimited {
		name = min(name, max(width-usualWidth+nameColumns, nameColumns))
	}
	var b strings.Builder
	line := func(look func(string) string, format string, args ...any) {
		text := strings.TrimRight(fmt.Sprintf(format, args...), " ")
		b.WriteString(look(fit(text, width)) + "\n")
	}
	line(p.dim, "%s, %s passes/s, wakes %s/s, signals %s/s (%s of the time), over %s", r.Policy,
		count(r.Passes), count(r.Wakes), count(r.Signals), percent(r.Waking), shortTime(r.Elapsed))
	line(p.head, "")
	line(p.head, "%-*s %-5s %6s %5s %5s %7s %7s %5s %8s %8s", name, "RUNTIME", "CLASS", "HELD",
		"CORES", "BUSY", "P50", "P99", "WAIT", "SERVED/s", "GRANTS/s")
	for _, u := range r.Runtimes {
		look := p.good
		if u.Held == 0 {
			look = p.dim
		} else if u.Demotions > 0 {
			look = p.warn
		}
		line(look, "%s", u.row(name))
	}
	line(p.head, "")
	line(p.head, "%4s %4s %-8s %-*s %7s %5s %8s  %s", "CORE", "CPU", "STATE", name, "OWNER", "FOR",
		"BUSY", "GRANTS/s", "TIME")
	for _, k := range r.Cores {
		look := p.good
		if k.Owner == "" {
			look = p.dim
		}
		line(look, "%4d %4d %-8s %-*s %7s %5s %8s  %s", k.Core, k.CPU, fit(k.State, 8), name,
			fit(dash(k.Owner), name), shortTime(k.Held), percent(k.Busy), count(k.Grants),
			shares(k.Shares))
	}
	return b.String()
}

// row is a runtime's line.
func (u runtimeRate) row(name int) string {
	label := fit(u.Runtime, name)
	if !u.Attached {
		return fmt.Sprintf("%-*s %-5s not attached", name, label, u.Class)
	}
	class, busy, p50, p99 := u.Class, percent(u.Busy), shortTime(u.DelayP50), shortTime(u.DelayP99)
	waiting, served := count(float64(u.Waiting)), count(u.Served)
	if u.Guest { // an ordinary program: nobody sees its queues
		class, busy, p50, p99, waiting, served = u.Class+"/run", "-", "-", "-", "-", "-"
	}
	return fmt.Sprintf("%-*s %-6s%6s %5.2f %5s %7s %7s %5s %8s %8s", name, label, class,
		fmt.Sprintf("%d/%d", u.Held, u.Most), u.Cores, busy, p50, p99, waiting, served,
		count(u.Grants))
}

// fit cuts text to the width.
func fit(text string, width int) string {
	if width == unlimited || len(text) <= width {
		return text
	}
	return text[:max(width-1, 0)] + "~"
}

// count is a number with three digits, in at most 5 columns.
func count(v float64) string {
	units := []struct {
		size float64
		name string
	}{{1, ""}, {1e3, "k"}, {1e6, "M"}, {1e9, "G"}}
	u := units[0]
	for _, next := range units[1:] {
		if v >= next.size*0.9995 {
			u = next
		}
	}
	v /= u.size
	return trimZeros(threeDigits(v)) + u.name
}

// trimZeros leaves out what says nothing behind a point.
func trimZeros(digits string) string {
	if !strings.Contains(digits, ".") {
		return digits
	}
	return strings.TrimSuffix(strings.TrimRight(digits, "0"), ".")
}

// percent is a part of 1, in at most 5 columns.
func percent(part float64) string {
	switch {
	case part > 0 && part < 0.0005:
		return "<0.1%"
	case part < 0.0995:
		return trimZeros(fmt.Sprintf("%.1f", 100*part)) + "%"
	}
	return fmt.Sprintf("%.0f%%", 100*part)
}

// _ keeps the lines of the usual screen within it: what stands beside the name takes 65 columns.
const _ uint = usualWidth - nameColumns - 65
