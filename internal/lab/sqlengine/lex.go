package sqlengine

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
)

// tokenKind is what a token of T-SQL is.
type tokenKind int

const (
	tokenEnd tokenKind = iota
	tokenName
	tokenQuoted   // [name] or "name"
	tokenVariable // @name or @@name
	tokenNumber
	tokenString
	tokenSign // operator or punctuation
)

// token is one token; text is a name without its brackets, or a string without its quotes.
type token struct {
	kind tokenKind
	text string
}

// is reports whether the token is the keyword or sign given, in capitals.
func (t token) is(word string) bool {
	return (t.kind == tokenName || t.kind == tokenSign) && strings.EqualFold(t.text, word)
}

// lex cuts a text into tokens. The last one is tokenEnd.
func lex(text string) ([]token, *tdsserver.Error) {
	var tokens []token
	for {
		text = strings.TrimLeftFunc(text, unicode.IsSpace)
		switch {
		case text == "":
			return append(tokens, token{kind: tokenEnd}), nil
		case strings.HasPrefix(text, "--"):
			_, text, _ = strings.Cut(text, "\n")
			continue
		case strings.HasPrefix(text, "/*"):
			var ok bool
			if _, text, ok = strings.Cut(text[2:], "*/"); !ok {
				return nil, raise(113, 15, "Missing end comment mark '*/'.")
			}
			continue
		}
		t, rest, failed := next(text)
		if failed != nil {
			return nil, failed
		}
		tokens, text = append(tokens, t), rest
	}
}

// next cuts off the first token of a text that begins with one.
func next(text string) (token, string, *tdsserver.Error) {
	r, _ := utf8.DecodeRuneInString(text)
	switch {
	case r == '\'':
		return quoted(tokenString, text[1:], '\'')
	case (r == 'N' || r == 'n') && strings.HasPrefix(text[1:], "'"):
		return quoted(tokenString, text[2:], '\'')
	case r == '[':
		return quoted(tokenQuoted, text[1:], ']')
	case r == '"':
		return quoted(tokenQuoted, text[1:], '"')
	case r == '@':
		n := span(text, func(r rune) bool { return isWord(r) || r == '@' })
		return token{tokenVariable, text[:n]}, text[n:], nil
	case r >= '0' && r <= '9':
		n := span(text, func(r rune) bool { return r >= '0' && r <= '9' || r == '.' })
		return token{tokenNumber, text[:n]}, text[n:], nil
	case isWord(r):
		n := span(text, isWord)
		return token{tokenName, text[:n]}, text[n:], nil
	}
	for _, sign := range []string{"<>", "!=", "<=", ">="} {
		if strings.HasPrefix(text, sign) {
			return token{tokenSign, sign}, text[len(sign):], nil
		}
	}
	n := utf8.RuneLen(r)
	if r == utf8.RuneError {
		n = 1
	}
	return token{tokenSign, text[:n]}, text[n:], nil
}

// quoted cuts off what stands before the closing mark; a doubled mark is one of the text.
func quoted(kind tokenKind, text string, mark byte) (token, string, *tdsserver.Error) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != mark {
			b.WriteByte(text[i])
			continue
		}
		if i+1 < len(text) && text[i+1] == mark {
			b.WriteByte(mark)
			i++
			continue
		}
		return token{kind, b.String()}, text[i+1:], nil
	}
	return token{}, "", raise(105, 15, "Unclosed quotation mark after the character string '%s'.", text)
}

func isWord(r rune) bool {
	return r == '_' || r == '#' || r == '$' || unicode.IsLetter(r) || unicode.IsDigit(r)
}

// span is the length of the runes at the beginning that belong.
func span(text string, belongs func(rune) bool) int {
	for i, r := range text {
		if !belongs(r) {
			return i
		}
	}
	return len(text)
}
