package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dunlin-io/dunlin/core"
)

// Poll says what the iokernel does when there is nothing to do.
type Poll uint8

const (
	PollAuto     Poll = iota // adaptive where fewer than SpinCPUs CPUs are allowed, else spin
	PollSpin                 // poll for ever: the shortest latency, a whole CPU
	PollAdaptive             // poll for Spin, then sleep in the kernel
)

// SpinCPUs is how many CPUs must be allowed before PollAuto gives one up to spinning, in CPUs: with
// fewer, the applications would lose more than they gain. (guess)
const SpinCPUs = 4

// Resolve replaces PollAuto by what it means where that many CPUs are allowed.
func (p Poll) Resolve(allowedCPUs int) Poll {
	switch {
	case p != PollAuto:
		return p
	case allowedCPUs < SpinCPUs:
		return PollAdaptive
	}
	return PollSpin
}

// XDPMode says where in the kernel the program runs.
type XDPMode uint8

const (
	XDPAuto    XDPMode = iota // native, or generic where the driver has none
	XDPNative                 // in the driver
	XDPGeneric                // after the driver has made a socket buffer
)

// Wish is for what is used where the machine has it.
type Wish uint8

const (
	Auto Wish = iota // if possible
	Off
)

// LogLevel is the least severe level that is logged.
type LogLevel uint8

const (
	LevelInfo LogLevel = iota
	LevelDebug
	LevelWarn
	LevelError
)

// LogFormat is the form of the log.
type LogFormat uint8

const (
	FormatText LogFormat = iota
	FormatJSON
)

func (p Poll) names() []string      { return []string{"auto", "spin", "adaptive"} }
func (m XDPMode) names() []string   { return []string{"auto", "native", "generic"} }
func (w Wish) names() []string      { return []string{"auto", "off"} }
func (l LogLevel) names() []string  { return []string{"info", "debug", "warn", "error"} }
func (f LogFormat) names() []string { return []string{"text", "json"} }

func (p Poll) String() string      { return nameOf(p) }
func (m XDPMode) String() string   { return nameOf(m) }
func (w Wish) String() string      { return nameOf(w) }
func (l LogLevel) String() string  { return nameOf(l) }
func (f LogFormat) String() string { return nameOf(f) }

func (p *Poll) parse(text string) error      { return choose(p, text) }
func (m *XDPMode) parse(text string) error   { return choose(m, text) }
func (w *Wish) parse(text string) error      { return choose(w, text) }
func (l *LogLevel) parse(text string) error  { return choose(l, text) }
func (f *LogFormat) parse(text string) error { return choose(f, text) }

// choice is a value out of a list of names.
type choice interface {
	~uint8
	names() []string
}

func nameOf[T choice](v T) string {
	if names := v.names(); int(v) < len(names) {
		return names[v]
	}
	return fmt.Sprintf("%T(%d)", v, uint8(v))
}

func choose[T choice](at *T, text string) error {
	names := (*at).names()
	k := slices.Index(names, text)
	if k < 0 {
		return fmt.Errorf("want %s", oneOf(names))
	}
	*at = T(k)
	return nil
}

// oneOf joins names as in "a, b or c".
func oneOf(names []string) string {
	last := len(names) - 1
	if last == 0 {
		return names[0]
	}
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// FileMode is the permission bits of a file, written in octal.
type FileMode uint32

func (m FileMode) String() string { return fmt.Sprintf("%#04o", uint32(m)) }

func (m *FileMode) parse(text string) error {
	n, err := strconv.ParseUint(strings.TrimPrefix(text, "0o"), 8, 32)
	if err != nil || n > 0o777 {
		return fmt.Errorf("want permission bits in octal, like 0660")
	}
	*m = FileMode(n)
	return nil
}

// Account is a user or a group: a number, or a name until Load has looked it up.
type Account struct {
	Name  string // empty if it was given by number
	ID    uint32
	Known bool // ID is valid
}

// ID is the account of that number.
func ID(n uint32) Account { return Account{ID: n, Known: true} }

func (a Account) String() string {
	switch {
	case a.Name != "":
		return a.Name
	case a.Known:
		return strconv.FormatUint(uint64(a.ID), 10)
	}
	return ""
}

// parseAccounts reads names and numbers separated by commas.
func parseAccounts(text string) ([]Account, error) {
	if text == "" {
		return nil, nil
	}
	var list []Account
	for part := range strings.SplitSeq(text, ",") {
		var a Account
		if err := a.parse(strings.TrimSpace(part)); err != nil {
			return nil, err
		}
		list = append(list, a)
	}
	return list, nil
}

func formatAccounts(list []Account) string {
	names := make([]string, len(list))
	for i, a := range list {
		names[i] = a.String()
	}
	return strings.Join(names, ",")
}

// noID is the number that the kernel's calls take for "leave it": no account can have it.
const noID = 1<<32 - 1

func (a *Account) parse(text string) error {
	if text == "" {
		*a = Account{}
		return nil
	}
	if n, err := strconv.ParseUint(text, 10, 64); err == nil {
		if n >= noID {
			return fmt.Errorf("want a number below %d", uint32(noID))
		}
		*a = ID(uint32(n))
		return nil
	}
	if strings.ContainsAny(text, ":/ \t\n\x00") || text[0] == '-' || text[0] == '+' {
		return fmt.Errorf("want a name or a number")
	}
	*a = Account{Name: text}
	return nil
}

// parseTime reads a duration like 50us or 1.5ms.
func parseTime(text string) (core.Time, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("want a duration with its unit, like 50us or 1ms")
	}
	return core.Time(d), nil
}

// FormatTime writes a duration as a configuration would have it.
func FormatTime(t core.Time) string {
	return strings.ReplaceAll(time.Duration(t).String(), "µ", "u")
}

func parseBool(text string) (bool, error) {
	switch text {
	case "true", "on", "yes":
		return true, nil
	case "false", "off", "no":
		return false, nil
	}
	return false, fmt.Errorf("want true or false")
}
