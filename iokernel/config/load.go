package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Sources are where Load takes values from. All but the file may be nil.
type Sources struct {
	FileName string // for messages
	File     []byte
	Environ  []string          // as of os.Environ
	Flags    map[string]string // by Setting.Flag, only those that were given

	// User and Group look up the numbers of names. Without them names are an error.
	User, Group func(name string) (id uint32, err error)
}

// From says which kind of source a value comes from.
type From uint8

const (
	FromDefault From = iota
	FromFile
	FromEnv
	FromFlag
)

func (f From) String() string {
	return [...]string{"default", "file", "env", "flag"}[f]
}

// Origin says where a value comes from.
type Origin struct {
	From  From
	Where string // file:line:column, variable or --flag; empty for a default
}

// Effective is what holds after all sources have been heard.
type Effective struct {
	Config
	// Warnings are what is probably a mistake: no runtimes, or variables that begin with EnvPrefix
	// and mean nothing. Those are no errors, because other software sets such variables too
	// (Kubernetes does for a service of that name).
	Warnings []string

	origins  map[string]Origin // by key; runtimes[0].uids and the like included
	problems problems
}

// Load merges the sources, looks names of users and groups up and validates the result. Its error
// joins one *Problem for each mistake.
func Load(s Sources) (*Effective, error) {
	e := &Effective{Config: Default(), origins: map[string]Origin{}}
	e.readFile(s.FileName, s.File)
	e.readEnviron(s.Environ)
	e.readFlags(s.Flags)
	e.lookUp(s)
	if len(e.problems) > 0 {
		return nil, e.problems.err() // validating the defaults in their place would mislead
	}
	for _, p := range e.Config.validate() {
		p.Where = e.where(p.Key)
		e.problems = append(e.problems, p)
	}
	if len(e.problems) > 0 {
		return nil, e.problems.err()
	}
	if len(e.Runtimes) == 0 {
		e.Warnings = append(e.Warnings, "no runtimes are configured, so nobody can attach")
	}
	return e, nil
}

func (e *Effective) readEnviron(environ []string) {
	settings := Settings()
	for _, variable := range environ {
		name, text, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, EnvPrefix) {
			continue
		}
		k := slices.IndexFunc(settings, func(s Setting) bool { return s.Env() == name })
		if k < 0 {
			e.Warnings = append(e.Warnings, fmt.Sprintf(
				"environment variable %s means nothing to the iokernel", name))
			continue
		}
		e.override(settings[k], text, Origin{FromEnv, name})
	}
}

func (e *Effective) readFlags(flags map[string]string) {
	settings := Settings()
	for _, s := range settings {
		if text, ok := flags[s.Flag()]; ok {
			e.override(s, text, Origin{FromFlag, "--" + s.Flag()})
		}
	}
	for name := range flags {
		if !slices.ContainsFunc(settings, func(s Setting) bool { return s.Flag() == name }) {
			e.problems.addAt("--"+name, "", "no such setting")
		}
	}
}

func (e *Effective) override(s Setting, text string, origin Origin) {
	if err := assign(s.at(&e.Config), text); err != nil {
		e.problems.addAt(origin.Where, s.Key, "%q: %v", text, err)
		return
	}
	e.origins[s.Key] = origin
}

// lookUp turns names of accounts into numbers.
func (e *Effective) lookUp(s Sources) {
	one := func(a *Account, key, kind string, look func(string) (uint32, error)) {
		if a.Known || a.Name == "" {
			return
		}
		err := errors.New("only numbers are known here")
		if look != nil {
			a.ID, err = look(a.Name)
		}
		if err != nil {
			e.problems.addAt(e.where(key), key, "%s %q: %v", kind, a.Name, err)
			return
		}
		a.Known = true
	}
	one(&e.Control.Group, "control.group", "group", s.Group)
	for i := range e.Runtimes {
		r := &e.Runtimes[i]
		for k := range r.UIDs {
			one(&r.UIDs[k], fmt.Sprintf("runtimes[%d].uids", i), "user", s.User)
		}
		for k := range r.GIDs {
			one(&r.GIDs[k], fmt.Sprintf("runtimes[%d].gids", i), "group", s.Group)
		}
	}
}

// Origin says where the value of a key comes from: the zero Origin for a default.
func (e *Effective) Origin(key string) Origin { return e.origins[key] }

// where is the place to point a user to: that of the key, or of what it lies in.
func (e *Effective) where(key string) string {
	for key != "" {
		if origin, ok := e.origins[key]; ok {
			return origin.Where
		}
		key = key[:max(strings.LastIndexAny(key, ".["), 0)]
	}
	return ""
}
