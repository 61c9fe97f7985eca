// A plugin of clang-tidy with one check that reports nothing: it keeps the others from looking into
// system headers. Without it they walk through all that a file includes, which takes three times as
// long, to drop what they find there. clangd limits its checks in the same way.

#include <clang-tidy/ClangTidyCheck.h>
#include <clang-tidy/ClangTidyModule.h>
#include <clang-tidy/ClangTidyModuleRegistry.h>
#include <clang/AST/ASTContext.h>
#include <clang/ASTMatchers/ASTMatchFinder.h>

#include <vector>

namespace {

using clang::ast_matchers::MatchFinder;

class TidyScope : public clang::tidy::ClangTidyCheck {
 public:
  using ClangTidyCheck::ClangTidyCheck;

  void registerMatchers(MatchFinder* finder) override {
    finder->addMatcher(clang::ast_matchers::translationUnitDecl().bind("unit"), this);
  }

  // The whole is matched before its declarations, and which of them follow is asked after that.
  void check(const MatchFinder::MatchResult& result) override {
    const auto* unit = result.Nodes.getNodeAs<clang::TranslationUnitDecl>("unit");
    std::vector<clang::Decl*> own;
    for (clang::Decl* each : unit->decls()) {
      if (!result.SourceManager->isInSystemHeader(each->getLocation())) own.push_back(each);
    }
    result.Context->setTraversalScope(own);
  }
};

class TidyScopeModule : public clang::tidy::ClangTidyModule {
 public:
  void addCheckFactories(clang::tidy::ClangTidyCheckFactories& factories) override {
    factories.registerCheck<TidyScope>("sni-scope");
  }
};

const clang::tidy::ClangTidyModuleRegistry::Add<TidyScopeModule> registered("sni", "");

}  // namespace
