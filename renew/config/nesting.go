package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// The parsers below recurse, and so does the evaluation of what they return:
// text that nests without end would overflow the stack, which nothing can
// recover from. These limits are far above what anybody writes.
const (
	maxNesting   = 100    // brackets, braces, parentheses and templates in one another
	maxOperators = 10_000 // in one expression
)

// tooDeep returns where HCL text goes over the limits.
func tooDeep(text []byte, name string) (hcl.Range, bool) {
	tokens, _ := hclsyntax.LexConfig(text, name, hcl.InitialPos)
	return deepToken(tokens)
}

func deepToken(tokens hclsyntax.Tokens) (hcl.Range, bool) {
	operators := []int{0} // in the expression at each depth
	for _, t := range tokens {
		last := len(operators) - 1
		switch t.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenOQuote,
			hclsyntax.TokenOHeredoc, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			operators[last]++
			operators = append(operators, 0)
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenCQuote,
			hclsyntax.TokenCHeredoc, hclsyntax.TokenTemplateSeqEnd:
			operators = operators[:max(1, last)]
		case hclsyntax.TokenComma, hclsyntax.TokenEqual:
			operators[last] = 0
		case hclsyntax.TokenIdent, hclsyntax.TokenNewline, hclsyntax.TokenComment, hclsyntax.TokenStringLit, hclsyntax.TokenQuotedLit:
		default:
			operators[last]++
		}
		if len(operators) > maxNesting || operators[len(operators)-1] > maxOperators {
			return t.Range, true
		}
	}
	return hcl.Range{}, false
}

// jsonTooDeep is tooDeep for JSON text, templates in its strings included. Text
// that does not parse is left to the parser to complain of, up to the depth.
func jsonTooDeep(text []byte, name string) bool {
	if bracketDepth(text) > maxNesting {
		return true
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) || err != nil {
			return false
		}
		s, ok := token.(string)
		if !ok {
			continue
		}
		tokens, _ := hclsyntax.LexTemplate([]byte(s), name, hcl.InitialPos)
		if _, deep := deepToken(tokens); deep {
			return true
		}
	}
}

// bracketDepth returns how deep the brackets of JSON text nest.
func bracketDepth(text []byte) int {
	depth, deepest, inString := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '[' || c == '{':
			depth++
			deepest = max(deepest, depth)
		case c == ']' || c == '}':
			depth--
		}
	}
	return deepest
}
