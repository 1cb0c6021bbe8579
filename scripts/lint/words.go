package lint

import (
	"regexp"
	"strings"
)

// word is a pattern that nobody should meet in this repository. The patterns spell their own words
// with a class, so that this file passes them.
type word struct {
	pattern *regexp.Regexp
	text    string
}

func words() []word {
	return []word{
		{
			regexp.MustCompile(`\b(T[O]DO|FIX[M]E|XX[X]|HAC[K])\b`),
			"unfinished work hides here; do it now, or file an issue and say what holds today",
		},
		{
			regexp.MustCompile(`^(<{7}|>{7})( |$)`),
			"mark of a merge conflict; resolve it",
		},
		{
			regexp.MustCompile(`\b(DESIG[N]|STYL[E])(\.md)?\b`),
			"names a document that is not in the repository; give the reason itself",
		},
		{
			regexp.MustCompile(`(^|[\s"'=:(` + "`" + `])/(home|Users|work)/\w`),
			"path of one machine; use t.TempDir, a flag, or a path relative to the repository",
		},
		{
			regexp.MustCompile(`(?i)\b(blazin[g]|world-clas[s]|seamles[s](ly)?|` +
				`leverag(e[s]|in[g])|utili[sz]e[sd]?)\b`),
			"advertises; say what it does and give the number",
		},
		{
			regexp.MustCompile(`(?i)\b(white|black)[l]ist`),
			"say allow list or deny list",
		},
	}
}

// checkWords reads every file of words and code, generated Go apart.
func checkWords(t *Tree) []Finding {
	all := words()
	var found []Finding
	check := func(path string, source []byte) {
		for i, line := range lines(source) {
			for _, w := range all {
				if hit := w.pattern.FindString(line); hit != "" {
					found = append(found, Finding{
						path, i + 1,
						strings.Trim(hit, " \t\"'=:(`") + ": " + w.text,
					})
				}
			}
		}
	}
	for _, p := range t.Packages {
		for _, f := range p.all() {
			if !f.Generated {
				check(f.Path, f.Source)
			}
		}
	}
	for _, text := range t.Texts {
		check(text.Path, text.Source)
	}
	return found
}
